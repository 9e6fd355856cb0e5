import type { Command } from "commander";
import { bindPciDevice, pciDevices, unbindPciDevice, type BindOutcome } from "@vfmig/host";
import { EXIT } from "../exit-codes.ts";
import { devicesText } from "../output/devices-text.ts";
import type { CommandContext } from "../program.ts";

interface RootOptions {
  readonly sysfs?: string;
  readonly dev?: string;
  readonly records?: string;
  readonly json?: boolean;
}

const LIST_EXAMPLES = `
Examples:
  vfmig devices                           network functions: groups, drivers, PF and VFs
  vfmig devices --all                     every PCI function and mediated device
  vfmig devices --json                    one JSON object on stdout, with reset methods and VFIO files

A device can be given to a guest when it is bound to a VFIO driver and nobody of the host uses another
device of its IOMMU group.`;

const BIND_EXAMPLES = `
Examples:
  vfmig bind 0000:3b:02.0                 to vfio-pci; the host loses the device
  vfmig bind 3b:02.0 --driver mlx5_vfio_pci
  vfmig unbind 0000:3b:02.0               back to the driver that it was taken from

Exit code 1: the device is bound, but others of its group still belong to the host.`;

/** `vfmig devices`, `vfmig bind` and `vfmig unbind`. */
export function devicesCommand(program: Command, context: CommandContext): void {
  const { terminal } = context;
  withRoots(program.command("devices"))
    .description("List what could be given to a guest: IOMMU groups, drivers, PFs and VFs.")
    .option("--all", "every function, not network functions and mediated devices only")
    .addHelpText("after", LIST_EXAMPLES)
    .action((options: RootOptions & { readonly all?: boolean }) => {
      const all = pciDevices(options);
      const devices = options.all === true ? all : all.filter(isOfInterest);
      terminal.result(
        options.json === true
          ? JSON.stringify({ schemaVersion: 1, devices })
          : devicesText(devices, all.length - devices.length),
      );
    });
  withRoots(program.command("bind"))
    .description("Give a PCI function to vfio-pci, and keep what had it before.")
    .argument("<address>", "PCI address, such as 0000:3b:02.0")
    .option("--driver <name>", "VFIO driver", "vfio-pci")
    .addHelpText("after", BIND_EXAMPLES)
    .action((address: string, options: RootOptions & { readonly driver: string }) => {
      show(bindPciDevice(address, options.driver, options), options, context);
    });
  withRoots(program.command("unbind"))
    .description("Give a PCI function back to the driver that bind took it from.")
    .argument("<address>", "PCI address, such as 0000:3b:02.0")
    .addHelpText("after", BIND_EXAMPLES)
    .action((address: string, options: RootOptions) => {
      show({ ...unbindPciDevice(address, options), blockedBy: [] }, options, context);
    });
}

function withRoots(command: Command): Command {
  return command
    .option("--sysfs <path>", "where sysfs is mounted", "/sys")
    .option("--dev <path>", "where device files are", "/dev")
    .option("--records <path>", "where it is kept what had a device before", "/run/vfmig/bind")
    .option("--json", "print one JSON object on stdout");
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
