import type { MmapArea, RegionFacet, RegionRange } from "@vfmig/core";
import type { MailboxRelay } from "../../mailbox/mailbox-relay.ts";
import { rxTailQueue, txTailQueue, VF_REGISTER, VF_REGISTER_COUNT } from "../../registers.ts";
import { readRegisters, type RegisterAccess, writeRegisters } from "@vfmig/core/toolkit";
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
  /** Pages that users may map while nobody has to see them. */
  readonly mappable: readonly MmapArea[];
}

/** BAR0 as the guest sees it. */
export class Bar0 implements RegionFacet {
  readonly index: number;
  readonly doorbells: readonly RegionRange[] = DOORBELLS;
  readonly mmap: NonNullable<RegionFacet["mmap"]>;
  readonly adjustable: boolean;
  readonly startsTrapped: readonly RegionRange[];
  readonly #parts: Bar0Parts;
  readonly #guest: RegisterAccess = {
    read: (offset) => this.#read(offset),
    write: (offset, value) => this.#write(offset, value),
  };

  constructor(parts: Bar0Parts) {
    this.#parts = parts;
    this.index = parts.index;
    const { mappable } = parts;
    // They are trapped at run time, before queues are relayed, so that saving is in nobody's way.
    this.mmap = { runtime: mappable, saving: mappable };
    this.adjustable = mappable.length > 0;
    this.startsTrapped = mappable;
  }

  get trapped(): readonly RegionRange[] {
    const { queues } = this.#parts;
    return queues.relayNew || queues.interposed !== 0 ? WITH_QUEUES : WITHOUT_QUEUES;
  }

  read(offset: number, into: Uint8Array): void {
    readRegisters(this.#guest, offset, into);
  }

  write(offset: number, from: Uint8Array): void {
    writeRegisters(this.#guest, offset, from);
  }

  #read(offset: number): number {
    const { queues, vectors, mailbox, registers } = this.#parts;
    const tx = txTailQueue(offset);
    if (tx >= 0) {
      return queues.tails.readTx(tx);
    }
    const rx = rxTailQueue(offset);
    if (rx >= 0) {
      return queues.tails.readRx(rx);
    }
    return vectors.read(offset) ?? mailbox.read(offset) ?? registers.read(offset);
  }

  #write(offset: number, value: number): void {
    const { queues, vectors, mailbox, registers } = this.#parts;
    const tx = txTailQueue(offset);
    const rx = rxTailQueue(offset);
    if (tx >= 0) {
      queues.tails.writeTx(tx, value);
    } else if (rx >= 0) {
      queues.tails.writeRx(rx, value);
    } else if (!(vectors.write(offset, value) || mailbox.write(offset, value))) {
      registers.write(offset, value);
    }
  }
}
