import { PROGRESS, type RingCodec, SLOT } from "@vfmig/shadow-queue";
import { RX_FLEX_STATUS, RXDID, rxFlexLength, writeRxFlexBack } from "./rx-flex.ts";
import { RX_DESCRIPTOR_SIZE, RX_STATUS, rxAddress, rxLength, writeRxBack } from "./rx.ts";
import {
  TX_COMMAND,
  TX_DESCRIPTOR_SIZE,
  TX_DTYPE,
  txAddress,
  txBufferSize,
  writeTxData,
} from "./tx.ts";

/** Length that a discarded slot tells, in bytes: a driver stops at 0. */
const BROKEN_LENGTH = 60;

/**
 * The Tx ring. The device's copy always asks for a report at the end of a frame, so that its progress
 * is known; the guest's slot is written back only where the guest asked.
 */
export const txRingCodec: RingCodec = {
  descriptorSize: TX_DESCRIPTOR_SIZE,
  deviceWrites: false,
  forward(from, fromOffset, to, toOffset) {
    let low = from.getUint32(fromOffset + 8, true);
    let slot = 0;
    if ((low & TX_DTYPE.MASK) === TX_DTYPE.DATA && (low & TX_COMMAND.EOP) !== 0) {
      slot = SLOT.LAST | ((low & TX_COMMAND.RS) !== 0 ? SLOT.REPORTED : 0);
      low |= TX_COMMAND.RS;
    }
    to.setUint32(toOffset, from.getUint32(fromOffset, true), true);
    to.setUint32(toOffset + 4, from.getUint32(fromOffset + 4, true), true);
    to.setUint32(toOffset + 8, low, true);
    to.setUint32(toOffset + 12, from.getUint32(fromOffset + 12, true), true);
    return slot;
  },
  address: txAddress,
  length(data, offset) {
    const type = data.getUint32(offset + 8, true) & TX_DTYPE.MASK;
    return type === TX_DTYPE.DATA ? txBufferSize(data.getUint32(offset + 12, true)) : 0;
  },
  progress(data, offset, slot) {
    if ((slot & SLOT.LAST) === 0) {
      return PROGRESS.PART;
    }
    const type = data.getUint32(offset + 8, true) & TX_DTYPE.MASK;
    return type === TX_DTYPE.DONE ? PROGRESS.FRAME : PROGRESS.PENDING;
  },
  written: () => 0,
  writeBack(_from, _fromOffset, to, toOffset) {
    to.setUint32(toOffset + 12, 0, true);
    to.setUint32(toOffset + 8, TX_DTYPE.DONE, true);
  },
  own(to, offset, address, length) {
    writeTxData(to, offset, address, length, TX_COMMAND.EOP | TX_COMMAND.RS | TX_COMMAND.ICRC);
    return SLOT.LAST;
  },
};

/**
 * A ring of 32-byte Rx descriptors. Every format has DD and the end of a frame in the same bits, and
 * the word with DD is the one that a guest waits for; where the length stands is what differs.
 *
 * @param bufferSize - bytes of each posted buffer, as CONFIG_VSI_QUEUES told the device
 * @param rxdid - write-back format of the queue, a number of {@link RXDID}
 */
export function rxRingCodec(bufferSize: number, rxdid: number = RXDID.LEGACY_32): RingCodec {
  const flexible = rxdid >= RXDID.FLEX_NIC;
  return {
    descriptorSize: RX_DESCRIPTOR_SIZE,
    deviceWrites: true,
    forward(from, fromOffset, to, toOffset) {
      to.setUint32(toOffset, from.getUint32(fromOffset, true), true);
      to.setUint32(toOffset + 4, from.getUint32(fromOffset + 4, true), true);
      for (let byte = 8; byte < RX_DESCRIPTOR_SIZE; byte += 4) {
        to.setUint32(toOffset + byte, 0, true);
      }
      return SLOT.REPORTED;
    },
    address: rxAddress,
    length: () => bufferSize,
    progress(data, offset) {
      const status = data.getUint32(offset + 8, true);
      if ((status & RX_STATUS.DD) === 0) {
        return PROGRESS.PENDING;
      }
      return (status & RX_STATUS.EOP) === 0 ? PROGRESS.PART : PROGRESS.FRAME;
    },
    written: flexible
      ? (data, offset) => rxFlexLength(data.getUint32(offset + 4, true))
      : (data, offset) => rxLength(data.getUint32(offset + 12, true)),
    writeBack(from, fromOffset, to, toOffset) {
      for (let byte = 16; byte < RX_DESCRIPTOR_SIZE; byte += 4) {
        to.setUint32(toOffset + byte, from.getUint32(fromOffset + byte, true), true);
      }
      to.setUint32(toOffset, from.getUint32(fromOffset, true), true);
      to.setUint32(toOffset + 4, from.getUint32(fromOffset + 4, true), true);
      to.setUint32(toOffset + 12, from.getUint32(fromOffset + 12, true), true);
      // The status word holds DD, by which the guest knows that the rest is there.
      to.setUint32(toOffset + 8, from.getUint32(fromOffset + 8, true), true);
    },
    discard(to, offset) {
      const length = Math.min(BROKEN_LENGTH, bufferSize);
      if (flexible) {
        const status = RX_FLEX_STATUS.EOF | RX_FLEX_STATUS.RXE;
        writeRxFlexBack(to, offset, { status, length, packetType: 0, hash: 0, tag: 0, tag2: -1 });
      } else {
        const status = RX_STATUS.EOP | RX_STATUS.RXE;
        writeRxBack(to, offset, { status, length, packetType: 0, hash: 0, tag: 0 });
      }
    },
  };
}
