import type { RxFormat, TxFormat } from "../guest/ring-formats.ts";
import { IGB } from "./registers.ts";

const SIZE = 16;
/** Dword 2 of an advanced data descriptor. */
const DATA = 0x0030_0000;
const DEXT = 0x2000_0000;
const IFCS = 0x0200_0000;
const EOP = 0x0100_0000;
const RS = 0x0800_0000;
/** Dword 3: done, and the packet's length. */
const DONE = 0x1;
const PAYLOAD_SHIFT = 14;
/** CE, SE, SEQ, CXE and RXE; checksum errors are the stack's to judge. */
const RX_ERRORS = 0x9700_0000;

export const igbRxFormat: RxFormat = {
  size: SIZE,
  errors: RX_ERRORS,
  length: (dword) => dword & 0xffff,
  // A VF strips tags only where its PF says so, and this driver does not ask for it.
  tag: () => -1,
  tail: () => IGB.RDT,
};

export const igbTxFormat: TxFormat = {
  size: SIZE,
  write(data, offset, { address, length, packet, last }) {
    data.setUint32(offset, address >>> 0, true);
    data.setUint32(offset + 4, Math.floor(address / 0x1_0000_0000), true);
    data.setUint32(offset + 8, (DATA | DEXT | IFCS | length | (last ? EOP | RS : 0)) >>> 0, true);
    data.setUint32(offset + 12, (packet << PAYLOAD_SHIFT) >>> 0, true);
  },
  state(ram, iova) {
    const command = ram.load32(iova + 8);
    if ((command & (DATA | DEXT)) !== (DATA | DEXT)) return "damaged";
    return (ram.load32(iova + 12) & DONE) === 0 ? "posted" : "done";
  },
  tail: () => IGB.TDT,
};
