import {
  PCI_IRQ,
  PCI_REGION,
  VfmigError,
  checkRegionAccess,
  type DeviceInfo,
  type DmaMap,
  type DmaMapping,
  type IovaRange,
  type IovaWindow,
  type IrqRequest,
  type IrqVectors,
  type VfioDevice,
} from "@vfmig/core";
import { BAR0_SIZE_700 } from "@vfmig/iavf";
import type { WirePort } from "../../wire/port.ts";
import { CONFIG_SPACE_SIZE } from "../pci/config-space.ts";
import type { Msix } from "../pci/msix.ts";
import { BAR3_SIZE, PBA_OFFSET } from "./config-table.ts";
import type { I40eVfFunction } from "./function.ts";
import type { I40eVfOptions } from "./options.ts";

/** Name and version under which a model is reported. */
export const MODEL_BASE = { name: "model", version: "0.1.0" } as const;

/** What the function can address: 48 bits. */
export const IOVA_WINDOW: IovaWindow = { first: 0n, last: (1n << 48n) - 1n };

/** What the model says of itself: regions and MSI-X as an 8086:154c has them, none mappable. */
export function deviceInfo(name: string, options: I40eVfOptions): DeviceInfo {
  const sizes: Readonly<Record<number, number>> = {
    [PCI_REGION.BAR0]: options.bar0Size,
    [PCI_REGION.BAR3]: BAR3_SIZE,
    [PCI_REGION.CONFIG]: CONFIG_SPACE_SIZE,
  };
  return {
    identity: {
      device: name,
      base: MODEL_BASE,
      pci: {
        vendor: 0x8086,
        device: 0x154c,
        subsystemVendor: 0x8086,
        subsystemDevice: 0,
        revision: options.revision,
      },
    },
    pci: true,
    resettable: true,
    regions: Array.from({ length: PCI_REGION.VGA + 1 }, (_, index) => {
      const size = sizes[index] ?? 0;
      return { index, size, read: size > 0, write: size > 0 };
    }),
    irqs: Array.from({ length: PCI_IRQ.REQ + 1 }, (_, index) => {
      const msix = index === PCI_IRQ.MSIX;
      return {
        index,
        count: msix ? options.vectors : 0,
        eventfd: msix,
        maskable: false,
        automasked: false,
        noResize: false,
      };
    }),
    iovaWindows: [IOVA_WINDOW],
  };
}

/** The function behind the interface that all layers speak. */
export class I40eVfDevice implements VfioDevice {
  readonly info: DeviceInfo;
  readonly migration: undefined = undefined;
  readonly dmaLogging: undefined = undefined;
  readonly #unit: I40eVfFunction;
  readonly #msix: Msix;
  readonly #irqs: IrqVectors;
  readonly #map: DmaMap;
  readonly #port: WirePort;
  #closed = false;

  constructor(
    info: DeviceInfo,
    unit: I40eVfFunction,
    msix: Msix,
    irqs: IrqVectors,
    map: DmaMap,
    port: WirePort,
  ) {
    this.info = info;
    this.#unit = unit;
    this.#msix = msix;
    this.#irqs = irqs;
    this.#map = map;
    this.#port = port;
  }

  readRegion(index: number, offset: number, into: Uint8Array): void {
    this.#check(index, offset, into.length, "read");
    if (index === PCI_REGION.BAR0) this.#readBar0(offset, into);
    else if (index === PCI_REGION.CONFIG) this.#unit.config.read(offset, into);
    else if (offset >= PBA_OFFSET) this.#msix.readPending(offset - PBA_OFFSET, into);
    else this.#msix.readTable(offset, into);
  }

  writeRegion(index: number, offset: number, from: Uint8Array): void {
    this.#check(index, offset, from.length, "write");
    if (index === PCI_REGION.BAR0) {
      this.#writeBar0(offset, from);
    } else if (index === PCI_REGION.CONFIG) {
      this.#unit.config.write(offset, from);
      this.#unit.configWritten(offset, from);
    } else if (offset < PBA_OFFSET) {
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

  /** Each register is read once; the hardware knows whole, aligned 32-bit accesses. */
  #readBar0(offset: number, into: Uint8Array): void {
    let done = 0;
    while (done < into.length) {
      const at = offset + done;
      const place = at & 3;
      const value = at < BAR0_SIZE_700 ? this.#unit.registers.read(at - place) : 0;
      for (let byte = place; byte < 4 && done < into.length; byte++) {
        into[done++] = value >>> (8 * byte);
      }
    }
  }

  /** Parts of a register cannot be written: the hardware drops them. */
  #writeBar0(offset: number, from: Uint8Array): void {
    if ((offset & 3) !== 0) return;
    for (let at = 0; at + 4 <= from.length && offset + at < BAR0_SIZE_700; at += 4) {
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
