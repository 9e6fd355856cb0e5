import type { ConfigField } from "./config-space.ts";

/** Capability and extended capability ids (PCI Code and ID Assignment). */
export const CAPABILITY = { PCI_EXPRESS: 0x10, MSIX: 0x11 } as const;
export const EXTENDED_CAPABILITY = { AER: 0x01, ACS: 0x0d, ARI: 0x0e, TPH: 0x17 } as const;

/** Command register: Memory Space Enable (a virtual bit in a VF, as vfio-pci gives it), Bus Master. */
export const COMMAND = { MEMORY_SPACE: 0x2, BUS_MASTER: 0x4 } as const;

/** Offset of the command register. */
export const COMMAND_OFFSET = 0x04;

/** Device Control: Initiate Function Level Reset. */
export const INITIATE_FLR = 0x8000;

/** MSI-X message control: all vectors masked. */
export const MSIX_FUNCTION_MASK = 0x4000;

/** Distance of Device Control from the start of the PCI Express capability. */
const DEVICE_CONTROL = 8;

/** A 64-bit prefetchable memory BAR; the upper half is the next BAR. */
export interface BarSpec {
  /** 0 to 4. */
  readonly index: number;
  /** Bytes, a power of two up to 2 GiB. */
  readonly size: number;
}

export interface ExtendedSpec {
  readonly id: number;
  readonly version: number;
  /** A multiple of 4 from 0x100; the list is in ascending order. */
  readonly offset: number;
  /** Registers beyond the header that are not zero. */
  readonly registers?: readonly ConfigField[];
}

/** What differs between two VFs' configuration spaces. */
export interface FunctionSpec {
  readonly vendor: number;
  readonly device: number;
  readonly revision: number;
  /** 24 bits. */
  readonly classCode: number;
  readonly subsystemVendor: number;
  readonly subsystemDevice: number;
  readonly bars: readonly BarSpec[];
  readonly msix: {
    /** Offset of the capability. */
    readonly offset: number;
    readonly vectors: number;
    /** BAR of table and pending bits. */
    readonly bar: number;
    readonly tableOffset: number;
    readonly pendingOffset: number;
  };
  readonly express: {
    readonly offset: number;
    readonly deviceCapabilities: number;
    readonly linkCapabilities: number;
    readonly deviceCapabilities2: number;
  };
  readonly extended: readonly ExtendedSpec[];
}

/** Offset of Device Control. */
export function deviceControlOffset({ express }: FunctionSpec): number {
  return express.offset + DEVICE_CONTROL;
}

/** Offset of the MSI-X message control word. */
export function msixControlOffset({ msix }: FunctionSpec): number {
  return msix.offset + 2;
}

/** The configuration space of a VF as vfio-pci shows it: header, MSI-X, PCI Express, extended list. */
export function functionTable(spec: FunctionSpec): readonly ConfigField[] {
  return [
    ...headerFields(spec),
    ...spec.bars.flatMap((bar) => barFields(bar)),
    ...msixFields(spec),
    ...expressFields(spec),
    ...extendedFields(spec.extended),
  ];
}

function headerFields(spec: FunctionSpec): ConfigField[] {
  const writable = COMMAND.BUS_MASTER | COMMAND.MEMORY_SPACE;
  return [
    { name: "vendor", offset: 0x00, size: 2, value: spec.vendor },
    { name: "device", offset: 0x02, size: 2, value: spec.device },
    { name: "command", offset: COMMAND_OFFSET, size: 2, value: 0, writable },
    { name: "status: capability list", offset: 0x06, size: 2, value: 0x0010 },
    { name: "revision", offset: 0x08, size: 1, value: spec.revision },
    { name: "class, lowest byte", offset: 0x09, size: 1, value: spec.classCode & 0xff },
    { name: "class", offset: 0x0a, size: 2, value: spec.classCode >>> 8 },
    { name: "subsystem vendor", offset: 0x2c, size: 2, value: spec.subsystemVendor },
    { name: "subsystem device", offset: 0x2e, size: 2, value: spec.subsystemDevice },
    { name: "first capability", offset: 0x34, size: 1, value: spec.msix.offset },
  ];
}

function barFields({ index, size }: BarSpec): ConfigField[] {
  const prefetchable64 = 0xc;
  const offset = 0x10 + 4 * index;
  return [
    // Writing all ones reads back the size: the bits below it are not there.
    { name: `BAR${index}`, offset, size: 4, value: prefetchable64, writable: -size },
    { name: `BAR${index}, upper half`, offset: offset + 4, size: 4, value: 0, writable: -1 },
  ];
}

function msixFields({ msix, express }: FunctionSpec): ConfigField[] {
  const { offset, bar } = msix;
  return [
    { name: "MSI-X id", offset, size: 1, value: CAPABILITY.MSIX },
    { name: "MSI-X next", offset: offset + 1, size: 1, value: express.offset },
    {
      // Table size less one; enable and function mask are the user's.
      name: "MSI-X control",
      offset: offset + 2,
      size: 2,
      value: msix.vectors - 1,
      writable: 0xc000,
    },
    { name: "MSI-X table", offset: offset + 4, size: 4, value: msix.tableOffset | bar },
    { name: "MSI-X pending bits", offset: offset + 8, size: 4, value: msix.pendingOffset | bar },
  ];
}

function expressFields({ express }: FunctionSpec): ConfigField[] {
  const { offset } = express;
  const version2 = 0x0002;
  return [
    { name: "PCIe id", offset, size: 1, value: CAPABILITY.PCI_EXPRESS },
    { name: "PCIe next", offset: offset + 1, size: 1, value: 0 },
    { name: "PCIe version 2, endpoint", offset: offset + 2, size: 2, value: version2 },
    {
      name: "device capabilities",
      offset: offset + 4,
      size: 4,
      value: express.deviceCapabilities,
    },
    // A VF implements no bit of it but the reset, which reads as zero.
    { name: "device control", offset: offset + DEVICE_CONTROL, size: 2, value: 0 },
    { name: "device status", offset: offset + 0xa, size: 2, value: 0 },
    { name: "link capabilities", offset: offset + 0xc, size: 4, value: express.linkCapabilities },
    {
      name: "device capabilities 2",
      offset: offset + 0x24,
      size: 4,
      value: express.deviceCapabilities2,
    },
  ];
}

/** Id, version, next. Registers of a VF that are not given are zero and read-only. */
function extendedFields(list: readonly ExtendedSpec[]): ConfigField[] {
  return list.flatMap(({ id, version, offset, registers = [] }, index) => {
    const next = list[index + 1]?.offset ?? 0;
    const value = id | (version << 16) | (next << 20);
    return [
      { name: `extended capability ${id}`, offset, size: 4, value } satisfies ConfigField,
      ...registers,
    ];
  });
}
