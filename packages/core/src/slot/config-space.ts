import { PCI_REGION } from "../device/info.ts";
import type { VfioDevice } from "../device/vfio-device.ts";

// Offsets of a type 0 header (PCI Local Bus 3.0, 6.1) and of capabilities (PCI Express Base, 7.5.3; PCI
// Local Bus 3.0, 6.8.2).
const COMMAND = 0x04;
const STATUS = 0x06;
const STATUS_CAPABILITIES = 0x10;
const CACHE_LINE = 0x0c;
const BARS = 0x10;
const BAR_COUNT = 6;
const CAPABILITY_POINTER = 0x34;
const INTERRUPT_LINE = 0x3c;
const PCI_EXPRESS = 0x10;
const DEVICE_CONTROL = 8;
/** Initiate Function Level Reset: a write of 1 resets the device. */
const DEVICE_CONTROL_FLR = 0x8000;
const MSIX = 0x11;
const MESSAGE_CONTROL = 2;
/** A list of capabilities has no more than fit between the header and 0x100. */
const MOST_CAPABILITIES = 48;

interface Capability {
  readonly id: number;
  readonly at: number;
}

/**
 * Gives `to` what a VMM would set again in the configuration space of a device that takes another's
 * place: BARs, cache line, interrupt line, MSI-X control, Device Control without its reset, and last the
 * command register.
 */
export function carryConfigSpace(from: VfioDevice, to: VfioDevice): void {
  if (!hasConfigSpace(from)) return;
  const carry = (offset: number, size: number, clear = 0): void => {
    const value = read(from, offset, size);
    if (clear !== 0) new DataView(value.buffer).setUint16(0, word(value) & ~clear, true);
    to.writeRegion(PCI_REGION.CONFIG, offset, value);
  };
  for (let bar = 0; bar < BAR_COUNT; bar++) carry(BARS + 4 * bar, 4);
  carry(CACHE_LINE, 1);
  carry(INTERRUPT_LINE, 1);
  for (const { id, at } of capabilities(from)) {
    if (id === MSIX) carry(at + MESSAGE_CONTROL, 2);
    if (id === PCI_EXPRESS) carry(at + DEVICE_CONTROL, 2, DEVICE_CONTROL_FLR);
  }
  carry(COMMAND, 2);
}

/** A device that says it is of PCI may still have no such space. */
export function hasConfigSpace({ info }: VfioDevice): boolean {
  return info.pci && (info.regions[PCI_REGION.CONFIG]?.size ?? 0) > 0;
}

/** What a guest has read once and counts on: identity, and which capability stands where. */
export function configSignature(device: VfioDevice): string {
  const hex = (offset: number, size: number): string =>
    Buffer.from(read(device, offset, size)).toString("hex");
  const chain = capabilities(device).map(({ id, at }) => {
    // MSI-X: how many vectors, and where their table and pending bits are.
    const what = id === MSIX ? `:${word(read(device, at + 2, 2)) & 0x7ff}:${hex(at + 4, 8)}` : "";
    return `${id.toString(16)}@${at.toString(16)}${what}`;
  });
  return [hex(0, 4), hex(0x08, 4), hex(0x2c, 4), ...chain].join(" ");
}

function capabilities(device: VfioDevice): readonly Capability[] {
  if ((word(read(device, STATUS, 2)) & STATUS_CAPABILITIES) === 0) return [];
  const found: Capability[] = [];
  let at = (read(device, CAPABILITY_POINTER, 1)[0] ?? 0) & 0xfc;
  while (at !== 0 && found.length < MOST_CAPABILITIES) {
    const [id = 0, next = 0] = read(device, at, 2);
    found.push({ id, at });
    at = next & 0xfc;
  }
  return found;
}

function read(device: VfioDevice, offset: number, size: number): Uint8Array<ArrayBuffer> {
  const into = new Uint8Array(size);
  device.readRegion(PCI_REGION.CONFIG, offset, into);
  return into;
}

function word([low = 0, high = 0]: Uint8Array): number {
  return low | (high << 8);
}
