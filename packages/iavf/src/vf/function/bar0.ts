import type { RegionFacet, RegionRange } from "@vfmig/core";
import type { MailboxRelay } from "../../mailbox/mailbox-relay.ts";
import { rxTailQueue, txTailQueue, VF_REGISTER } from "../../registers.ts";
import type { RegisterAccess } from "../../registers/register-access.ts";
import type { ShadowQueues } from "../queues/shadow-queues.ts";
import type { QueueVectors } from "./queue-vectors.ts";

const PAGE = 0x1000;

/** Pages of BAR0 that are taken over: tails, queue vectors, vector 0, mailbox and reset state. */
export const TRAPPED: readonly RegionRange[] = [
  { offset: 0, size: PAGE },
  { offset: VF_REGISTER.QRX_TAIL1, size: 2 * PAGE },
  { offset: 0x4000, size: 5 * PAGE },
];

const DOORBELLS: readonly RegionRange[] = [
  { offset: VF_REGISTER.QTX_TAIL1, size: 64 },
  { offset: VF_REGISTER.QRX_TAIL1, size: 64 },
  { offset: VF_REGISTER.VF_ATQT1, size: 4 },
];

export interface Bar0Parts {
  readonly index: number;
  readonly registers: RegisterAccess;
  readonly queues: ShadowQueues;
  readonly vectors: QueueVectors;
  readonly mailbox: MailboxRelay;
}

/**
 * BAR0 as the guest sees it. Registers are 32 bits wide: a wider access is several, a read of a part
 * is cut out of the whole, and a write of a part is not one that the hardware knows.
 */
export class Bar0 implements RegionFacet {
  readonly index: number;
  readonly trapped: readonly RegionRange[] = TRAPPED;
  readonly doorbells: readonly RegionRange[] = DOORBELLS;
  readonly mmap: NonNullable<RegionFacet["mmap"]> = { runtime: [], saving: [] };
  readonly #parts: Bar0Parts;

  constructor(parts: Bar0Parts) {
    this.#parts = parts;
    this.index = parts.index;
  }

  read(offset: number, into: Uint8Array): void {
    for (let at = 0; at < into.length;) {
      const register = (offset + at) & ~3;
      const value = this.#read(register);
      for (let byte = offset + at - register; byte < 4 && at < into.length; byte++, at++) {
        into[at] = (value >>> (8 * byte)) & 0xff;
      }
    }
  }

  write(offset: number, from: Uint8Array): void {
    for (let at = (4 - (offset & 3)) & 3; at + 4 <= from.length; at += 4) {
      const value =
        (from[at] ?? 0) |
        ((from[at + 1] ?? 0) << 8) |
        ((from[at + 2] ?? 0) << 16) |
        ((from[at + 3] ?? 0) << 24);
      this.#write(offset + at, value >>> 0);
    }
  }

  #read(offset: number): number {
    const { queues, vectors, mailbox, registers } = this.#parts;
    const tx = txTailQueue(offset);
    if (tx >= 0) {
      return queues.readTxTail(tx);
    }
    const rx = rxTailQueue(offset);
    if (rx >= 0) {
      return queues.readRxTail(rx);
    }
    return vectors.read(offset) ?? mailbox.read(offset) ?? registers.read(offset);
  }

  #write(offset: number, value: number): void {
    const { queues, vectors, mailbox, registers } = this.#parts;
    const tx = txTailQueue(offset);
    const rx = rxTailQueue(offset);
    if (tx >= 0) {
      queues.writeTxTail(tx, value & 0x1fff);
    } else if (rx >= 0) {
      queues.writeRxTail(rx, value & 0x1fff);
    } else if (!(vectors.write(offset, value) || mailbox.write(offset, value))) {
      registers.write(offset, value);
    }
  }
}
