import { PCI_REGION, type RegionFacet, type RegionRange } from "@vfmig/core";
import { readRegisters, type RegisterAccess, writeRegisters } from "@vfmig/core/toolkit";
import type { Parts } from "../parts.ts";
import { CTRL_RESET, QUEUE, QUEUE_ENABLE, QUEUES, REGISTER } from "../registers/registers.ts";
import { ALL_PAGES, FIRST_PAGE, mappablePages } from "../shadow/pages.ts";

const DOORBELLS: readonly RegionRange[] = [
  { offset: REGISTER.RX_QUEUE + QUEUE.TAIL, size: 4 },
  { offset: REGISTER.TX_QUEUE + QUEUE.TAIL, size: 4 },
];

export type Bar0Parts = Pick<
  Parts,
  "context" | "registers" | "pf" | "mailbox" | "vectors" | "statistics" | "rx" | "tx" | "shadow"
> & {
  /** Takes finished descriptors to the guest, for vectors that it asked for itself. */
  readonly relay: (vectors: number) => void;
  /** The guest has the VF reset. */
  readonly reset: () => void;
};

/** BAR0 as the guest sees it. */
export class Bar0 implements RegionFacet {
  readonly index: number = PCI_REGION.BAR0;
  readonly trapped: readonly RegionRange[];
  readonly doorbells: readonly RegionRange[];
  readonly mmap: NonNullable<RegionFacet["mmap"]>;
  readonly adjustable: boolean;
  readonly #parts: Bar0Parts;
  readonly #guest: RegisterAccess = {
    read: (offset) => this.#read(offset),
    write: (offset, value) => this.#write(offset, value),
  };
  #secondTold = false;

  constructor(parts: Bar0Parts) {
    this.#parts = parts;
    const { base, options } = parts.context;
    const direct = options.doorbells === "direct";
    this.trapped = direct ? FIRST_PAGE : ALL_PAGES;
    // Pages that are trapped at run time only have relays that keep their doorbells themselves.
    this.doorbells = direct ? [] : DOORBELLS;
    // Also while saving: what has to be seen then is trapped first, and its users asked.
    const areas = direct ? mappablePages(base.info) : [];
    this.mmap = { runtime: areas, saving: areas };
    this.adjustable = direct;
  }

  read(offset: number, into: Uint8Array): void {
    readRegisters(this.#guest, offset, into);
  }

  write(offset: number, from: Uint8Array): void {
    writeRegisters(this.#guest, offset, from);
  }

  #read(offset: number): number {
    const { registers, mailbox, pf, vectors, statistics, shadow } = this.#parts;
    if (shadow.isGuests(offset)) return registers.read(offset);
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
    const { mailbox, vectors, relay, reset, shadow } = this.#parts;
    if (shadow.isGuests(offset)) return this.#passOn(offset, value);
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

  #passOn(offset: number, value: number): void {
    this.#parts.vectors.note(offset, value);
    this.#parts.registers.write(offset, value);
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
