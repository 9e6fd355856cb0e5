import { bindPciDevice, pciDevices, unbindPciDevice, type BindOutcome } from "@vfmig/host/pci";
import type { BindOptions, ListOptions, RootOptions } from "../commands/devices.ts";
import { EXIT } from "../exit-codes.ts";
import { devicesText } from "../output/devices-text.ts";
import type { CommandContext } from "../program.ts";

/** Lists what could be given to a guest. */
export function list(options: ListOptions, { terminal }: CommandContext): void {
  const all = pciDevices(options);
  const devices = options.all === true ? all : all.filter(isOfInterest);
  terminal.result(
    options.json === true
      ? JSON.stringify({ schemaVersion: 1, devices })
      : devicesText(devices, all.length - devices.length),
  );
}

/** Gives a function to a VFIO driver. */
export async function bind(
  address: string,
  options: BindOptions,
  context: CommandContext,
): Promise<void> {
  show(await bindPciDevice(address, options.driver, options), options, context);
}

/** Gives it back to the driver that had it. */
export async function unbind(
  address: string,
  options: RootOptions,
  context: CommandContext,
): Promise<void> {
  show({ ...(await unbindPciDevice(address, options)), blockedBy: [] }, options, context);
}

/** Network functions (PCI class 02), and whatever a VFIO driver has. */
function isOfInterest(device: ReturnType<typeof pciDevices>[number]): boolean {
  return device.kind === "mdev" || device.vfio.bound || (device.class ?? 0) >>> 16 === 0x02;
}

function show(
  outcome: BindOutcome,
  { json }: RootOptions,
  { terminal, exit }: CommandContext,
): void {
  const { address, before, after, changed, blockedBy } = outcome;
  const name = (driver: string | null): string => driver ?? "no driver";
  const what = changed
    ? `${address}: ${name(before)} -> ${name(after)}`
    : `${address}: ${name(after)} has it already; nothing was changed`;
  terminal.result(json === true ? JSON.stringify({ schemaVersion: 1, ...outcome }) : what);
  if (blockedBy.length === 0) return;
  const list = blockedBy.map((each) => `${each.name} (${each.driver})`).join(", ");
  terminal.note(
    `Its IOMMU group cannot be used yet: the host still has ${list}. Bind them too, or unbind their drivers.`,
  );
  exit(EXIT.failed);
}
