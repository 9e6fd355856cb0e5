import { createDmaMap, createGuestMemory, type GuestMemory } from "@vfmig/core";
import { RX_DESCRIPTOR_SIZE, RX_STATUS, writeRxPosted } from "../../descriptors/rx.ts";
import { TX_COMMAND, TX_DESCRIPTOR_SIZE, writeTxData, writeTxDone } from "../../descriptors/tx.ts";

export const BASE = 0x10_0000;
export const BYTES = 1 << 20;
export const LENGTH = 64;
export const BUFFERS = BASE + 0x8_0000;
export const RX = { base: BASE, length: LENGTH, bufferSize: 2048, maxPacket: 1534 };

export function memoryOf(bytes: Uint8Array): GuestMemory {
  const map = createDmaMap();
  const mapping = { iova: BigInt(BASE), size: BigInt(BYTES), read: true, write: true };
  map.add({ ...mapping, memory: { bytes } });
  return createGuestMemory(map);
}

/** A Tx ring as iavf and a device use it; the device's head is the truth. */
export class TxRing {
  readonly data: DataView = new DataView(new ArrayBuffer(BYTES));
  readonly memory: GuestMemory = memoryOf(new Uint8Array(this.data.buffer));
  readonly #ends: boolean[] = Array.from({ length: LENGTH }, () => false);
  tail = 0;
  clean = 0;
  head = 0;
  lapped = false;

  send(descriptors: number, report = true): void {
    const free = (this.clean - this.tail - 1 + LENGTH) % LENGTH;
    if (descriptors > free) {
      return;
    }
    for (let n = 1; n <= descriptors; n++) {
      const last = n === descriptors;
      const end = last ? TX_COMMAND.EOP | (report ? TX_COMMAND.RS : 0) : 0;
      writeTxData(this.data, this.tail * TX_DESCRIPTOR_SIZE, BUFFERS, 60, end | TX_COMMAND.ICRC);
      this.#ends[this.tail] = last;
      this.tail = (this.tail + 1) % LENGTH;
      this.lapped ||= this.tail === 0;
    }
  }

  /** Writes descriptors behind the tail, of which the device is not told. */
  prepare(descriptors: number): void {
    const { tail, lapped } = this;
    this.send(descriptors);
    this.tail = tail;
    this.lapped = lapped;
  }

  /** The ring goes on as another life left it: the device begins at slot 0, where the guest stands. */
  restart(): void {
    this.head = 0;
    this.tail = 0;
    this.clean = 0;
    this.lapped = false;
  }

  /** The device sends up to `frames` frames. */
  work(frames: number): void {
    for (let n = 0; n < frames && this.head !== this.tail; n++) {
      for (let ended = false; !ended;) {
        ended = this.#ends[this.head] ?? false;
        const at = this.head * TX_DESCRIPTOR_SIZE;
        if ((this.data.getUint32(at + 8, true) & TX_COMMAND.RS) !== 0) {
          writeTxDone(this.data, at);
        }
        this.head = (this.head + 1) % LENGTH;
      }
    }
  }

  /** The driver takes back all that is done. */
  reap(): void {
    this.clean = this.head;
  }
}

/** An Rx ring as iavf and a device use it: refilled in batches, one slot always free and cleared. */
export class RxRing {
  readonly data: DataView = new DataView(new ArrayBuffer(BYTES));
  readonly memory: GuestMemory = memoryOf(new Uint8Array(this.data.buffer));
  tail = 0;
  clean = 0;
  head = 0;
  lapped = false;
  /** The last slot that the device filled did not end its frame. */
  open = false;

  constructor() {
    this.post(LENGTH - 1);
    this.lapped = false;
  }

  get free(): number {
    return (this.clean - this.tail - 1 + LENGTH) % LENGTH;
  }

  post(count: number): void {
    for (let n = 0; n < count; n++) {
      const at = this.tail * RX_DESCRIPTOR_SIZE;
      this.data.setUint32(at, BUFFERS, true);
      this.data.setUint32(at + 4, 0, true);
      this.tail = (this.tail + 1) % LENGTH;
      this.lapped ||= this.tail === 0;
      const next = this.tail * RX_DESCRIPTOR_SIZE;
      this.data.setUint32(next + 8, 0, true);
      this.data.setUint32(next + 12, 0, true);
    }
  }

  /** The device fills up to `slots` slots; the last of them ends its frame or not. */
  receive(slots: number, ends: boolean): void {
    const seen = this.tail & ~7;
    for (let n = 1; n <= slots && this.head !== seen; n++) {
      const at = this.head * RX_DESCRIPTOR_SIZE;
      this.open = n === slots && !ends;
      writeRxPosted(this.data, at, 0xdead_beef_0000);
      this.data.setUint32(at + 8, RX_STATUS.DD | (this.open ? 0 : RX_STATUS.EOP), true);
      this.head = (this.head + 1) % LENGTH;
    }
  }

  /** The driver takes up to `slots` filled slots and posts again in batches of 16. */
  poll(slots: number): void {
    for (let n = 0; n < slots; n++) {
      if (this.free >= 16) {
        this.post(this.free);
      }
      if (this.clean === this.head) {
        return;
      }
      this.clean = (this.clean + 1) % LENGTH;
    }
  }
}
