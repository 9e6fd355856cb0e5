import {
  PCI_IRQ,
  PCI_REGION,
  VfmigError,
  checkRegionAccess,
  type DeviceInfo,
  type DeviceInput,
  type DmaMap,
  type DmaMapping,
  type IovaRange,
  type IovaWindow,
  type IrqRequest,
  type IrqVectors,
  type VfioDevice,
} from "@vfmig/core";
import type { WirePort } from "../../wire/port.ts";
import { CONFIG_SPACE_SIZE } from "../pci/config-space.ts";
import type { FunctionSpec } from "../pci/function-table.ts";
import type { Msix } from "../pci/msix.ts";
import { REGISTER_SPACE } from "./registers.ts";
import type { VfFunction } from "./vf-function.ts";

/** Name and version under which a model is reported. */
export const MODEL_BASE = { name: "model", version: "0.1.0" } as const;

/** What the function can address: 48 bits. */
export const IOVA_WINDOW: IovaWindow = { first: 0n, last: (1n << 48n) - 1n };

/** What the model says of itself: regions and MSI-X as its configuration space has them, none mappable. */
export function deviceInfo(name: string, spec: FunctionSpec): DeviceInfo {
  const sizes: Record<number, number> = { [PCI_REGION.CONFIG]: CONFIG_SPACE_SIZE };
  for (const { index, size } of spec.bars) sizes[PCI_REGION.BAR0 + index] = size;
  return {
    identity: {
      device: name,
      base: MODEL_BASE,
      pci: {
        vendor: spec.vendor,
        device: spec.device,
        subsystemVendor: spec.subsystemVendor,
        subsystemDevice: spec.subsystemDevice,
        revision: spec.revision,
      },
    },
    pci: true,
    resettable: true,
    regions: Array.from({ length: PCI_REGION.VGA + 1 }, (_, index) => {
      const size = sizes[index] ?? 0;
      return { index, size, read: size > 0, write: size > 0 };
    }),
    irqs: Array.from({ length: PCI_IRQ.REQ + 1 }, (_, index) => {
      // As vfio-pci has it for a PCI Express function: one error and one request event each.
      const events = index === PCI_IRQ.ERR || index === PCI_IRQ.REQ ? 1 : 0;
      const count = index === PCI_IRQ.MSIX ? spec.msix.vectors : events;
      return {
        index,
        count,
        eventfd: count > 0,
        maskable: false,
        automasked: false,
        noResize: false,
      };
    }),
    iovaWindows: [IOVA_WINDOW],
  };
}

interface VfDeviceParts {
  readonly info: DeviceInfo;
  readonly spec: FunctionSpec;
  readonly unit: VfFunction;
  readonly msix: Msix;
  readonly irqs: IrqVectors;
  readonly map: DmaMap;
  readonly port: WirePort;
  readonly input: DeviceInput;
}

/** The function behind the interface that all layers speak. */
export class VfDevice implements VfioDevice {
  readonly info: DeviceInfo;
  readonly migration: undefined = undefined;
  readonly dmaLogging: undefined = undefined;
  readonly input: DeviceInput;
  readonly #unit: VfFunction;
  readonly #msix: Msix;
  readonly #irqs: IrqVectors;
  readonly #map: DmaMap;
  readonly #port: WirePort;
  readonly #pendingOffset: number;
  #closed = false;

  constructor({ info, spec, unit, msix, irqs, map, port, input }: VfDeviceParts) {
    this.info = info;
    this.#pendingOffset = spec.msix.pendingOffset;
    this.#unit = unit;
    this.#msix = msix;
    this.#irqs = irqs;
    this.#map = map;
    this.#port = port;
    this.input = input;
  }

  readRegion(index: number, offset: number, into: Uint8Array): void {
    this.#check(index, offset, into.length, "read");
    if (index === PCI_REGION.BAR0) this.#readBar0(offset, into);
    else if (index === PCI_REGION.CONFIG) this.#unit.config.read(offset, into);
    else this.#readMsix(offset, into);
  }

  writeRegion(index: number, offset: number, from: Uint8Array): void {
    this.#check(index, offset, from.length, "write");
    if (index === PCI_REGION.BAR0) {
      this.#writeBar0(offset, from);
    } else if (index === PCI_REGION.CONFIG) {
      this.#unit.config.write(offset, from);
      this.#unit.configWritten(offset, from);
    } else {
      this.#msix.writeTable(offset, from);
    }
  }

  setIrqs(request: IrqRequest): void {
    this.#open();
    this.#irqs.apply(request);
    this.#msix.eventsChanged(request);
  }

  mapDma(mapping: DmaMapping): void {
    this.#open();
    this.#map.add(mapping);
  }

  unmapDma(range: IovaRange): void {
    this.#open();
    this.#map.remove(this.#map.exact(range));
  }

  async reset(): Promise<void> {
    this.#open();
    this.#unit.functionReset();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#unit.stop();
    this.#irqs.clear();
    this.#map.removeAll();
    this.#port.close();
  }

  /** Table below, pending bits above; an access may lie across. */
  #readMsix(offset: number, into: Uint8Array): void {
    const below = Math.min(Math.max(this.#pendingOffset - offset, 0), into.length);
    if (below > 0) this.#msix.readTable(offset, into.subarray(0, below));
    if (below === into.length) return;
    const first = Math.max(offset - this.#pendingOffset, 0);
    this.#msix.readPending(first, into.subarray(below));
  }

  /** Each register is read once; the hardware knows whole, aligned 32-bit accesses. */
  #readBar0(offset: number, into: Uint8Array): void {
    let done = 0;
    while (done < into.length) {
      const at = offset + done;
      const place = at & 3;
      const value = at < REGISTER_SPACE ? this.#unit.registers.read(at - place) : 0;
      for (let byte = place; byte < 4 && done < into.length; byte++) {
        into[done++] = value >>> (8 * byte);
      }
    }
  }

  /** Parts of a register cannot be written: the hardware drops them. */
  #writeBar0(offset: number, from: Uint8Array): void {
    if ((offset & 3) !== 0) return;
    for (let at = 0; at + 4 <= from.length && offset + at < REGISTER_SPACE; at += 4) {
      const value =
        (from[at]! | (from[at + 1]! << 8) | (from[at + 2]! << 16) | (from[at + 3]! << 24)) >>> 0;
      this.#unit.registers.write(offset + at, value);
    }
  }

  #check(index: number, offset: number, length: number, access: "read" | "write"): void {
    this.#open();
    checkRegionAccess(this.info.regions, index, offset, length, access, "base");
  }

  #open(): void {
    if (!this.#closed) return;
    throw new VfmigError(
      "ERR_VFMIG_DEVICE_CLOSED",
      `The model of device "${this.info.identity.device}" was closed; open it again.`,
      { layer: "base", details: { device: this.info.identity.device } },
    );
  }
}
