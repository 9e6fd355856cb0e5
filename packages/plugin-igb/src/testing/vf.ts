import {
  checkRegionAccess,
  createDmaMap,
  createGuestMemory,
  createIrqVectors,
  type DeviceInfo,
  type DmaMapping,
  type IovaRange,
  type IrqRequest,
  PCI_IRQ,
  PCI_REGION,
  type VfioDevice,
} from "@vfmig/core";
import {
  ALL_VECTORS,
  BAR0_SIZE,
  CTRL_RESET,
  MAILBOX,
  QUEUE,
  QUEUE_ENABLE,
  REGISTER,
  STATISTICS,
} from "../registers/registers.ts";
import type { PfVf } from "./pf.ts";

const MSIX_CAPABILITY = 0x70;
const EXPRESS_CAPABILITY = 0xa0;
const CONTEXT = 0x2020_0000;

/** What a VF needs of the card that it is part of. */
export interface VfSurroundings {
  readonly name: string;
  readonly pf: PfVf;
  /** The VF sends a frame. */
  readonly transmit: (frame: Uint8Array) => void;
  /** The PF works on this VF's mailbox and resets, later. */
  readonly kickPf: () => void;
  /** Runs something once a write-back has taken its time. */
  readonly later: (run: () => void) => void;
}

/**
 * One VF as QEMU 10.2's igb has it: transmit runs inside the write of the tail, interrupts are edges,
 * heads can be read and written, a VF's reset leaves its registers.
 */
export class NicVf implements VfioDevice {
  readonly info: DeviceInfo;
  readonly migration: undefined = undefined;
  readonly dmaLogging: undefined = undefined;
  /** What the VF reset flag and the mailbox bits are, as the PF sees and sets them. */
  request = false;
  wasReset = false;
  enabled = false;
  /** As silicon may do: heads run ahead of write-backs, and are 0 whatever is written. */
  lateWriteBacks = false;
  startsAtZero = false;
  readonly registers: Uint32Array = new Uint32Array(BAR0_SIZE / 4);
  readonly #around: VfSurroundings;
  readonly #config = new Uint8Array(256);
  readonly #map = createDmaMap();
  readonly #memory = createGuestMemory(this.#map);
  readonly #irqs: ReturnType<typeof createIrqVectors>;
  #bits = 0;
  #owned = false;
  #mask = 0;
  #causes = 0;
  #autoClear = 0;
  #contexts = 0;
  /** What QEMU keeps of IVAR0: all that was ever written. */
  #mapped = 0;

  constructor(around: VfSurroundings) {
    this.#around = around;
    this.info = deviceInfo(around.name);
    this.#irqs = createIrqVectors(this.info.irqs, { pci: true });
    const config = new DataView(this.#config.buffer);
    config.setUint16(0, 0x8086, true);
    config.setUint16(2, 0x10ca, true);
    config.setUint16(6, 0x10, true);
    config.setUint8(0x34, MSIX_CAPABILITY);
    config.setUint16(MSIX_CAPABILITY, 0x11 | (EXPRESS_CAPABILITY << 8), true);
    config.setUint16(MSIX_CAPABILITY + 2, 2, true);
    config.setUint16(EXPRESS_CAPABILITY, 0x10, true);
  }

  /** Context descriptors that the device has been given. */
  get contexts(): number {
    return this.#contexts;
  }

  readRegion(index: number, offset: number, into: Uint8Array): void {
    checkRegionAccess(this.info.regions, index, offset, into.length, "read", "base");
    if (index !== PCI_REGION.BAR0) {
      into.set(
        index === PCI_REGION.CONFIG ? this.#config.subarray(offset, offset + into.length) : [],
      );
      return;
    }
    new DataView(into.buffer, into.byteOffset).setUint32(0, this.#read(offset), true);
  }

  writeRegion(index: number, offset: number, from: Uint8Array): void {
    checkRegionAccess(this.info.regions, index, offset, from.length, "write", "base");
    if (index === PCI_REGION.CONFIG) {
      this.#config.set(from, offset);
      const flr = from[EXPRESS_CAPABILITY + 9 - offset] ?? 0;
      if (offset >= EXPRESS_CAPABILITY && (flr & 0x80) !== 0) this.#reset();
    } else if (index === PCI_REGION.BAR0) {
      this.#write(offset, new DataView(from.buffer, from.byteOffset).getUint32(0, true));
    }
  }

  setIrqs(request: IrqRequest): void {
    this.#irqs.apply(request);
  }

  mapDma(mapping: DmaMapping): void {
    this.#map.add(mapping);
  }

  unmapDma(range: IovaRange): void {
    this.#map.remove(this.#map.exact(range));
  }

  async reset(): Promise<void> {
    this.#config[4] = 0;
    this.#reset();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#irqs.clear();
  }

  /** The PF's words; it takes the VF's request with them. */
  reply(message: readonly number[] | undefined): void {
    this.request = false;
    this.#bits |= MAILBOX.PFACK;
    if (message !== undefined) this.say(message);
  }

  say(message: readonly number[]): void {
    for (const [at, dword] of message.entries()) this.registers[REGISTER.VMBMEM / 4 + at] = dword;
    this.#bits |= MAILBOX.PFSTS;
    // As QEMU has it: the low bits of IVAR_MISC are taken as a mask.
    this.#raise(this.#reg(REGISTER.IVAR_MISC) & 3);
  }

  /** The PF was reset: what it tells of that, and what the hardware forgets. */
  pfReset(): void {
    this.registers.fill(0);
    this.#bits |= MAILBOX.RSTD;
    this.#mapped = 0;
    this.enabled = false;
  }

  /** False where no buffer is there, or the queue is off. */
  receive(frame: Uint8Array): boolean {
    const at = REGISTER.RX_QUEUE;
    if (!this.enabled || (this.#reg(at + QUEUE.CONTROL) & QUEUE_ENABLE) === 0) return false;
    const head = this.#reg(at + QUEUE.HEAD);
    if (head === this.#reg(at + QUEUE.TAIL)) return false;
    const ring = this.#ring(at);
    const iova = ring.base + 16 * head;
    const read = this.#memory.span(iova, 16, "write");
    const data = read.data;
    const offset = iova - read.base;
    const address = data.getUint32(offset, true) + data.getUint32(offset + 4, true) * 2 ** 32;
    this.#memory.write(address, frame);
    this.registers[(at + QUEUE.HEAD) / 4] = (head + 1) % ring.count;
    this.#count(0x0f10);
    this.#writeBack(() => {
      data.setUint32(offset, 0, true);
      data.setUint32(offset + 4, 0, true);
      data.setUint32(offset + 12, frame.length, true);
      data.setUint32(offset + 8, 3, true);
      this.#raiseIvar(this.#mapped);
    });
    return true;
  }

  #read(offset: number): number {
    switch (offset) {
      case REGISTER.STATUS:
        return 0x83;
      case REGISTER.V2PMAILBOX: {
        const bits = this.#bits;
        this.#bits = 0;
        return bits | (this.#owned ? MAILBOX.VFU : 0);
      }
      case REGISTER.CTRL:
      case REGISTER.EICS:
      case REGISTER.EIMC:
        return 0;
      default:
        return this.#reg(offset);
    }
  }

  #write(offset: number, value: number): void {
    if (STATISTICS.includes(offset)) return;
    this.registers[offset / 4] = value;
    switch (offset) {
      case REGISTER.CTRL:
        if ((value & CTRL_RESET) !== 0) this.#reset();
        break;
      case REGISTER.V2PMAILBOX:
        this.#owned = (value & MAILBOX.VFU) !== 0;
        if ((value & MAILBOX.REQ) !== 0) {
          this.request = true;
          this.#around.kickPf();
        }
        break;
      case REGISTER.EICS:
        this.#raise(value & ALL_VECTORS);
        break;
      case REGISTER.EIMS:
        this.#mask |= value;
        this.#fire(this.#causes & value);
        break;
      case REGISTER.EIMC:
        this.#mask &= ~value;
        break;
      case REGISTER.EICR:
        this.#causes &= ~value;
        break;
      case REGISTER.EIAC:
        this.#autoClear |= value;
        break;
      case REGISTER.IVAR0:
        this.#mapped |= value;
        break;
      case REGISTER.RX_QUEUE + QUEUE.HEAD:
      case REGISTER.TX_QUEUE + QUEUE.HEAD:
        if (this.startsAtZero) this.registers[offset / 4] = 0;
        break;
      case REGISTER.TX_QUEUE + QUEUE.TAIL:
        this.#send();
        break;
      default:
    }
  }

  #reset(): void {
    for (const at of [REGISTER.RX_QUEUE, REGISTER.TX_QUEUE]) {
      for (const queue of [0, QUEUE.STRIDE]) {
        const place = (at + queue + QUEUE.CONTROL) / 4;
        this.registers[place] = (this.registers[place] ?? 0) & ~QUEUE_ENABLE;
      }
    }
    this.enabled = false;
    this.wasReset = true;
    this.#around.kickPf();
  }

  /** The whole ring at once, before the write of the tail returns. */
  #send(): void {
    const at = REGISTER.TX_QUEUE;
    if (!this.enabled || (this.#reg(at + QUEUE.CONTROL) & QUEUE_ENABLE) === 0) return;
    const ring = this.#ring(at);
    const parts: Uint8Array[] = [];
    for (let head = this.#reg(at + QUEUE.HEAD); head !== this.#reg(at + QUEUE.TAIL);) {
      this.#descriptor(ring.base + 16 * head, parts);
      head = (head + 1) % ring.count;
      this.registers[(at + QUEUE.HEAD) / 4] = head;
    }
  }

  #descriptor(iova: number, parts: Uint8Array[]): void {
    const { data, base } = this.#memory.span(iova, 16, "write");
    const offset = iova - base;
    const command = data.getUint32(offset + 8, true);
    if ((command & 0x20f0_0000) === CONTEXT) {
      this.#contexts++;
      return;
    }
    const part = new Uint8Array(command & 0xffff);
    const address = data.getUint32(offset, true) + data.getUint32(offset + 4, true) * 2 ** 32;
    this.#memory.read(address, part);
    parts.push(part);
    if ((command & 0x0100_0000) === 0) return;
    this.#around.transmit(Uint8Array.from(Buffer.concat(parts.splice(0))));
    this.#count(0x0f14);
    if ((command & 0x0800_0000) === 0) return;
    this.#writeBack(() => {
      data.setUint32(offset + 12, (data.getUint32(offset + 12, true) | 1) >>> 0, true);
      this.#raiseIvar(this.#mapped >>> 8);
    });
  }

  #writeBack(run: () => void): void {
    if (this.lateWriteBacks) this.#around.later(run);
    else run();
  }

  #ring(at: number): { readonly base: number; readonly count: number } {
    return {
      base: this.#reg(at + QUEUE.BAL) + this.#reg(at + QUEUE.BAH) * 2 ** 32,
      count: this.#reg(at + QUEUE.LEN) / 16,
    };
  }

  #raiseIvar(entry: number): void {
    if ((entry & 0x80) !== 0) this.#raise(1 << (entry & 3));
  }

  #raise(bits: number): void {
    const fresh = bits & ~this.#causes;
    this.#causes |= bits;
    this.#fire(fresh);
  }

  #fire(bits: number): void {
    for (let vector = 0; vector < 3; vector++) {
      const bit = 1 << vector;
      if ((bits & this.#mask & bit) === 0) continue;
      this.#causes &= ~(this.#autoClear & bit);
      this.#irqs.event(PCI_IRQ.MSIX, vector)?.signal();
    }
  }

  #count(offset: number): void {
    this.registers[offset / 4] = (this.registers[offset / 4] ?? 0) + 1;
  }

  #reg(offset: number): number {
    return this.registers[offset / 4] ?? 0;
  }
}

function deviceInfo(name: string): DeviceInfo {
  const sizes: Readonly<Record<number, number>> = {
    [PCI_REGION.BAR0]: BAR0_SIZE,
    [PCI_REGION.BAR3]: 0x4000,
    [PCI_REGION.CONFIG]: 256,
  };
  const pci = {
    vendor: 0x8086,
    device: 0x10ca,
    subsystemVendor: 0,
    subsystemDevice: 0,
    revision: 1,
  };
  return {
    identity: { device: name, base: { name: "model", version: "0.1.0" }, pci },
    pci: true,
    resettable: true,
    regions: Array.from({ length: PCI_REGION.VGA + 1 }, (_, index) => {
      const size = sizes[index] ?? 0;
      return { index, size, read: size > 0, write: size > 0 };
    }),
    irqs: Array.from({ length: PCI_IRQ.REQ + 1 }, (_, index) => {
      const count = index === PCI_IRQ.MSIX ? 3 : 0;
      const flags = { maskable: false, automasked: false, noResize: false };
      return { index, count, eventfd: count > 0, ...flags };
    }),
    iovaWindows: [{ first: 0n, last: (1n << 39n) - 1n }],
  };
}
