import type { RegionFacet, RegionRange } from "@vfmig/core";
import type { MailboxRelay } from "../../mailbox/mailbox-relay.ts";
import { rxTailQueue, txTailQueue, VF_REGISTER, VF_REGISTER_COUNT } from "../../registers.ts";
import type { RegisterAccess } from "../../registers/register-access.ts";
import type { ShadowQueues } from "../queues/shadow-queues.ts";
import type { QueueVectors } from "./queue-vectors.ts";

const PAGE = 0x1000;

const MAILBOX: RegionRange = { offset: 0x4000, size: 5 * PAGE };
const TAILS = 4 * VF_REGISTER_COUNT.queues;

/**
 * What is taken over while a queue is relayed: the pages of tails, queue vectors, vector 0, mailbox and
 * reset state.
 */
const WITH_QUEUES: readonly RegionRange[] = [
  { offset: 0, size: PAGE },
  { offset: VF_REGISTER.QRX_TAIL1, size: 2 * PAGE },
  MAILBOX,
];

/**
 * What is taken over while the device works on the guest's own rings. Tails are only noted on their way
 * to the device: it gives the low bits of an Rx tail back to nobody, and they say where the guest is.
 */
const WITHOUT_QUEUES: readonly RegionRange[] = [
  { offset: VF_REGISTER.QTX_TAIL1, size: TAILS },
  { offset: VF_REGISTER.QRX_TAIL1, size: TAILS },
  MAILBOX,
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
  readonly doorbells: readonly RegionRange[] = DOORBELLS;
  readonly mmap: NonNullable<RegionFacet["mmap"]> = { runtime: [], saving: [] };
  readonly #parts: Bar0Parts;

  constructor(parts: Bar0Parts) {
    this.#parts = parts;
    this.index = parts.index;
  }

  get trapped(): readonly RegionRange[] {
    const { queues } = this.#parts;
    return queues.relayNew || queues.interposed !== 0 ? WITH_QUEUES : WITHOUT_QUEUES;
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
      queues.writeTxTail(tx, value);
    } else if (rx >= 0) {
      queues.writeRxTail(rx, value);
    } else if (!(vectors.write(offset, value) || mailbox.write(offset, value))) {
      registers.write(offset, value);
    }
  }
}
