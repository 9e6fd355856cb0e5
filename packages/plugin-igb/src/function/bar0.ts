import { PCI_REGION, type RegionFacet, type RegionRange } from "@vfmig/core";
import { readRegisters, type RegisterAccess, writeRegisters } from "@vfmig/core/toolkit";
import type { Parts } from "../parts.ts";
import {
  BAR0_SIZE,
  CTRL_RESET,
  QUEUE,
  QUEUE_ENABLE,
  QUEUES,
  REGISTER,
} from "../registers/registers.ts";

/** All of BAR0: each of its pages holds a register that the plugin answers itself. */
export const TRAPPED: readonly RegionRange[] = [{ offset: 0, size: BAR0_SIZE }];

const DOORBELLS: readonly RegionRange[] = [
  { offset: REGISTER.RX_QUEUE + QUEUE.TAIL, size: 4 },
  { offset: REGISTER.TX_QUEUE + QUEUE.TAIL, size: 4 },
];

export type Bar0Parts = Pick<
  Parts,
  "context" | "registers" | "pf" | "mailbox" | "vectors" | "statistics" | "rx" | "tx"
> & {
  /** Takes finished descriptors to the guest, for vectors that it asked for itself. */
  readonly relay: (vectors: number) => void;
  /** The guest has the VF reset. */
  readonly reset: () => void;
};

/** BAR0 as the guest sees it. */
export class Bar0 implements RegionFacet {
  readonly index: number = PCI_REGION.BAR0;
  readonly trapped: readonly RegionRange[] = TRAPPED;
  readonly doorbells: readonly RegionRange[] = DOORBELLS;
  readonly mmap: NonNullable<RegionFacet["mmap"]> = { runtime: [], saving: [] };
  readonly #parts: Bar0Parts;
  readonly #guest: RegisterAccess = {
    read: (offset) => this.#read(offset),
    write: (offset, value) => this.#write(offset, value),
  };
  #secondTold = false;

  constructor(parts: Bar0Parts) {
    this.#parts = parts;
  }

  read(offset: number, into: Uint8Array): void {
    readRegisters(this.#guest, offset, into);
  }

  write(offset: number, from: Uint8Array): void {
    writeRegisters(this.#guest, offset, from);
  }

  #read(offset: number): number {
    const { registers, mailbox, pf, vectors, statistics } = this.#parts;
    const queue = this.#queueAt(offset);
    if (queue !== undefined) return queue.read(offset & (QUEUE.STRIDE - 1)) ?? 0;
    if (offset === REGISTER.STATUS) return registers.read(offset);
    // The guest looks for news: so do we.
    if (offset === REGISTER.V2PMAILBOX) pf.look();
    return (
      mailbox.virtual.read(offset, pf.resetting) ??
      vectors.read(offset) ??
      statistics.read(offset) ??
      0
    );
  }

  #write(offset: number, value: number): void {
    const { mailbox, vectors, relay, reset } = this.#parts;
    const queue = this.#queueAt(offset);
    if (queue !== undefined) {
      queue.write(offset & (QUEUE.STRIDE - 1), value);
    } else if (offset === REGISTER.CTRL || offset === REGISTER.CTRL_DUP) {
      if ((value & CTRL_RESET) !== 0) reset();
    } else if (offset === REGISTER.EICS) {
      relay(value);
      vectors.write(offset, value);
    } else if (!(mailbox.virtual.write(offset, value) || vectors.write(offset, value))) {
      this.#writeOther(offset, value);
    }
  }

  /** The queue whose registers stand at `offset`: the first pair's. */
  #queueAt(offset: number): Bar0Parts["rx"] | Bar0Parts["tx"] | undefined {
    const first = offset & ~(QUEUE.STRIDE - 1);
    if (first === REGISTER.RX_QUEUE) return this.#parts.rx;
    return first === REGISTER.TX_QUEUE ? this.#parts.tx : undefined;
  }

  /** What has no meaning to a guest, or may have none: a second pair is not there, and that is said. */
  #writeOther(offset: number, value: number): void {
    const first = offset & ~(QUEUE.STRIDE * QUEUES - 1);
    const second = first === REGISTER.RX_QUEUE || first === REGISTER.TX_QUEUE;
    const enables = (offset & (QUEUE.STRIDE - 1)) === QUEUE.CONTROL && (value & QUEUE_ENABLE) !== 0;
    if (!second || !enables || this.#secondTold) return;
    this.#secondTold = true;
    this.#parts.context.logger.warn(
      "the guest wants the VF's second queue pair, which is hidden: it has no interrupt, and no move carries it",
      { offset },
    );
  }
}
