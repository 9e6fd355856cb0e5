import { PROGRESS, type RingCodec, SLOT } from "@vfmig/shadow-queue";

/** Bytes of every descriptor. */
export const DESCRIPTOR_SIZE = 16;

/** Transmit descriptors, dword 2; legacy ones have the same bits where both mean something. */
export const TX = {
  LENGTH_MASK: 0xffff,
  TYPE_MASK: 0x00f0_0000,
  CONTEXT: 0x0020_0000,
  DATA: 0x0030_0000,
  EOP: 0x0100_0000,
  /** The check sequence is the device's to add. */
  IFCS: 0x0200_0000,
  RS: 0x0800_0000,
  /** The tag of the context is inserted. */
  VLE: 0x4000_0000,
  /** The packet is segmented as the context says. */
  TSE: 0x8000_0000,
  DEXT: 0x2000_0000,
} as const;

/** Dword 3 of a transmit descriptor: done, and the length of the whole packet from bit 14. */
export const TX_DONE = 0x1;
export const TX_PAYLOAD_SHIFT = 14;

/** Contexts that a queue's device keeps; dword 3 of a context descriptor says in bit 4 which one. */
export const CONTEXTS = 2;
const CONTEXT_INDEX_SHIFT = 4;

/** Receive write-back, dword 2. */
export const RX_DONE = 0x1;
export const RX_END = 0x2;
/** The frame is broken (RXE): every driver drops it. */
const RX_ERROR = 0x8000_0000;

/** The dwords of a context descriptor; undefined where the queue has had none. */
export type TxContext = readonly [number, number, number, number] | undefined;

/** The transmit ring's format, with the contexts that the device remembers from earlier descriptors. */
export interface TxCodec extends RingCodec {
  /** What the device holds after the last frame that it has finished. */
  contexts(): TxContext[];
  load(contexts: readonly TxContext[]): void;
  /** `own` with a length of 0 sends context `address` again instead of a frame. */
  own(to: DataView, offset: number, address: number, length: number): number;
}

/**
 * A transmit ring. The device's copy always asks for a report at the end of a frame, so that its
 * progress is known; the guest's slot is written back only where the guest asked.
 */
export function createTxCodec(): TxCodec {
  const contexts: TxContext[] = Array.from({ length: CONTEXTS });
  return {
    descriptorSize: DESCRIPTOR_SIZE,
    deviceWrites: false,
    forward(from, fromOffset, to, toOffset) {
      let command = from.getUint32(fromOffset + 8, true);
      const report = (command & TX.RS) !== 0 ? SLOT.REPORTED : 0;
      const last = !isContext(command) && (command & TX.EOP) !== 0;
      if (last) command |= TX.RS;
      to.setUint32(toOffset, from.getUint32(fromOffset, true), true);
      to.setUint32(toOffset + 4, from.getUint32(fromOffset + 4, true), true);
      to.setUint32(toOffset + 8, command, true);
      const status = from.getUint32(fromOffset + 12, true);
      // Only the device may say that it is done.
      to.setUint32(toOffset + 12, isContext(command) ? status : status & ~TX_DONE, true);
      return report | (last ? SLOT.LAST : 0);
    },
    address: descriptorAddress,
    length(data, offset) {
      const command = data.getUint32(offset + 8, true);
      return isContext(command) ? 0 : command & TX.LENGTH_MASK;
    },
    progress(data, offset, slot) {
      if ((slot & SLOT.LAST) !== 0) {
        return (data.getUint32(offset + 12, true) & TX_DONE) === 0
          ? PROGRESS.PENDING
          : PROGRESS.FRAME;
      }
      if (isContext(data.getUint32(offset + 8, true))) keep(contexts, data, offset);
      return PROGRESS.PART;
    },
    written: () => 0,
    writeBack(from, fromOffset, to, toOffset) {
      // The device writes back what it read, with one bit more.
      to.setUint32(toOffset + 12, (from.getUint32(fromOffset + 12, true) | TX_DONE) >>> 0, true);
    },
    own(to, offset, address, length) {
      const context = length === 0 ? contexts[address] : undefined;
      if (context !== undefined) {
        for (const [at, dword] of context.entries()) to.setUint32(offset + 4 * at, dword, true);
        return 0;
      }
      writeTxData(to, offset, address, length, TX.EOP | TX.RS);
      return SLOT.LAST;
    },
    contexts: () => [...contexts],
    load(loaded) {
      for (let at = 0; at < CONTEXTS; at++) contexts[at] = loaded[at];
    },
  };
}

/** Writes an advanced data descriptor for one buffer that is a whole packet. */
export function writeTxData(
  data: DataView,
  offset: number,
  address: number,
  length: number,
  command: number,
): void {
  setAddress(data, offset, address);
  data.setUint32(offset + 8, (length | TX.DATA | TX.DEXT | TX.IFCS | command) >>> 0, true);
  data.setUint32(offset + 12, (length << TX_PAYLOAD_SHIFT) >>> 0, true);
}

/**
 * A receive ring of advanced descriptors with one buffer.
 * @param bufferSize - bytes of each posted buffer, as SRRCTL says
 */
export function createRxCodec(bufferSize: number): RingCodec {
  return {
    descriptorSize: DESCRIPTOR_SIZE,
    deviceWrites: true,
    forward(from, fromOffset, to, toOffset) {
      to.setUint32(toOffset, from.getUint32(fromOffset, true), true);
      to.setUint32(toOffset + 4, from.getUint32(fromOffset + 4, true), true);
      // No header buffer; its lowest bit is where the device will say that it is done.
      to.setUint32(toOffset + 8, 0, true);
      to.setUint32(toOffset + 12, 0, true);
      return SLOT.REPORTED;
    },
    address: descriptorAddress,
    length: () => bufferSize,
    progress(data, offset) {
      const status = data.getUint32(offset + 8, true);
      if ((status & RX_DONE) === 0) return PROGRESS.PENDING;
      return (status & RX_END) === 0 ? PROGRESS.PART : PROGRESS.FRAME;
    },
    written: (data, offset) => data.getUint16(offset + 12, true),
    writeBack(from, fromOffset, to, toOffset) {
      to.setUint32(toOffset, from.getUint32(fromOffset, true), true);
      to.setUint32(toOffset + 4, from.getUint32(fromOffset + 4, true), true);
      to.setUint32(toOffset + 12, from.getUint32(fromOffset + 12, true), true);
      // The status dword tells the guest that the rest is there.
      to.setUint32(toOffset + 8, from.getUint32(fromOffset + 8, true), true);
    },
    discard(to, offset) {
      to.setUint32(offset, 0, true);
      to.setUint32(offset + 4, 0, true);
      // Drivers count on a buffer not being empty.
      to.setUint32(offset + 12, 1, true);
      to.setUint32(offset + 8, (RX_DONE | RX_END | RX_ERROR) >>> 0, true);
    },
  };
}

/** True for dword 2 of a context descriptor. */
export function isContext(command: number): boolean {
  return (command & TX.DEXT) !== 0 && (command & TX.TYPE_MASK) === TX.CONTEXT;
}

function keep(contexts: TxContext[], data: DataView, offset: number): void {
  contexts[contextIndex(data.getUint32(offset + 12, true))] = readContext(data, offset);
}

/** Which context dword 3 of a descriptor names. */
export function contextIndex(dword: number): number {
  return (dword >>> CONTEXT_INDEX_SHIFT) & 1;
}

/** The dwords of a context descriptor. */
export function readContext(data: DataView, offset: number): [number, number, number, number] {
  return [
    data.getUint32(offset, true),
    data.getUint32(offset + 4, true),
    data.getUint32(offset + 8, true),
    data.getUint32(offset + 12, true),
  ];
}

function descriptorAddress(data: DataView, offset: number): number {
  return data.getUint32(offset, true) + data.getUint32(offset + 4, true) * 0x1_0000_0000;
}

function setAddress(data: DataView, offset: number, address: number): void {
  data.setUint32(offset, address >>> 0, true);
  data.setUint32(offset + 4, Math.floor(address / 0x1_0000_0000), true);
}
