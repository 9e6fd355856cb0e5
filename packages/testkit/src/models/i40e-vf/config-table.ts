import type { ConfigField } from "../pci/config-space.ts";

/** BAR3 of an 8086:154c, in bytes: MSI-X table at 0, pending bits at {@link PBA_OFFSET}. */
export const BAR3_SIZE = 0x4000;
export const PBA_OFFSET = 0x2000;

/** Offsets that the device itself acts upon. */
export const CONFIG_OFFSET = { COMMAND: 0x04, DEVICE_CONTROL: 0xa8 } as const;

/** Command register: Bus Master Enable. Memory Space Enable is a virtual bit, as vfio-pci gives it. */
export const BUS_MASTER = 0x0004;
const MEMORY_SPACE = 0x0002;

/** Device Control: Initiate Function Level Reset. */
export const INITIATE_FLR = 0x8000;

const MSIX_CAP = 0x70;
const PCIE_CAP = 0xa0;

export interface ConfigTableOptions {
  readonly revision: number;
  /** MSI-X vectors. */
  readonly vectors: number;
  /** Bytes, a power of two. */
  readonly bar0Size: number;
}

/** The configuration space of an 8086:154c as vfio-pci shows it; offsets from published dumps. */
export function configTable(options: ConfigTableOptions): readonly ConfigField[] {
  return [
    ...headerFields(options),
    ...msixFields(options.vectors),
    ...expressFields(),
    ...extendedFields(),
  ];
}

function headerFields({ revision, bar0Size }: ConfigTableOptions): ConfigField[] {
  const prefetchable64 = 0xc;
  return [
    { name: "vendor", offset: 0x00, size: 2, value: 0x8086 },
    { name: "device", offset: 0x02, size: 2, value: 0x154c },
    {
      name: "command",
      offset: CONFIG_OFFSET.COMMAND,
      size: 2,
      value: 0,
      writable: BUS_MASTER | MEMORY_SPACE,
    },
    { name: "status: capability list", offset: 0x06, size: 2, value: 0x0010 },
    { name: "revision", offset: 0x08, size: 1, value: revision },
    { name: "class: ethernet, low half", offset: 0x09, size: 1, value: 0x00 },
    { name: "class: ethernet, high half", offset: 0x0a, size: 2, value: 0x0200 },
    { name: "BAR0", offset: 0x10, size: 4, value: prefetchable64, writable: -bar0Size },
    { name: "BAR1: upper half of BAR0", offset: 0x14, size: 4, value: 0, writable: -1 },
    { name: "BAR3", offset: 0x1c, size: 4, value: prefetchable64, writable: -BAR3_SIZE },
    { name: "BAR4: upper half of BAR3", offset: 0x20, size: 4, value: 0, writable: -1 },
    { name: "subsystem vendor", offset: 0x2c, size: 2, value: 0x8086 },
    { name: "subsystem device", offset: 0x2e, size: 2, value: 0x0000 },
    { name: "first capability", offset: 0x34, size: 1, value: MSIX_CAP },
  ];
}

function msixFields(vectors: number): ConfigField[] {
  const bar3 = 3;
  return [
    { name: "MSI-X id", offset: MSIX_CAP, size: 1, value: 0x11 },
    { name: "MSI-X next", offset: MSIX_CAP + 1, size: 1, value: PCIE_CAP },
    // Table size less one; enable and function mask are the user's.
    { name: "MSI-X control", offset: MSIX_CAP + 2, size: 2, value: vectors - 1, writable: 0xc000 },
    { name: "MSI-X table", offset: MSIX_CAP + 4, size: 4, value: bar3 },
    { name: "MSI-X pending bits", offset: MSIX_CAP + 8, size: 4, value: PBA_OFFSET | bar3 },
  ];
}

function expressFields(): ConfigField[] {
  return [
    { name: "PCIe id", offset: PCIE_CAP, size: 1, value: 0x10 },
    { name: "PCIe next", offset: PCIE_CAP + 1, size: 1, value: 0 },
    { name: "PCIe version 2, endpoint", offset: PCIE_CAP + 2, size: 2, value: 0x0002 },
    // Payload to 2048, role-based errors, function level reset (bit 28).
    { name: "device capabilities", offset: PCIE_CAP + 4, size: 4, value: 0x1000_8cc4 | 0 },
    // A VF implements no bit of it but the reset, which reads as zero.
    { name: "device control", offset: CONFIG_OFFSET.DEVICE_CONTROL, size: 2, value: 0 },
    { name: "device status", offset: PCIE_CAP + 0xa, size: 2, value: 0 },
    { name: "link capabilities: 8 GT/s, x8", offset: PCIE_CAP + 0xc, size: 4, value: 0x83 },
    { name: "device capabilities 2", offset: PCIE_CAP + 0x24, size: 4, value: 0x1f },
  ];
}

/** Extended capabilities: id, version, next. Their registers are zero and read-only in a VF. */
function extendedFields(): ConfigField[] {
  const header = (id: number, version: number, next: number): number =>
    id | (version << 16) | (next << 20);
  return [
    { name: "AER", offset: 0x100, size: 4, value: header(0x0001, 2, 0x150) },
    { name: "ARI", offset: 0x150, size: 4, value: header(0x000e, 1, 0x1a0) },
    { name: "TPH requester", offset: 0x1a0, size: 4, value: header(0x0017, 1, 0x1d0) },
    { name: "TPH without steering table", offset: 0x1a4, size: 4, value: 0x1 },
    { name: "ACS", offset: 0x1d0, size: 4, value: header(0x000d, 1, 0) },
  ];
}
