import {
  type MigrationOps,
  PCI_IRQ,
  PCI_REGION,
  type RegionFacet,
  type ResetFacet,
  type SubDriver,
  type SubDriverContext,
  VfmigError,
} from "@vfmig/core";
import { Announcement, baseRegisters, PciConfigSpace } from "@vfmig/core/toolkit";
import { DirtyLog } from "@vfmig/shadow-queue";
import { describe } from "./describe/describe.ts";
import { igbError } from "./errors.ts";
import { Bar0 } from "./function/bar0.ts";
import { Statistics } from "./function/statistics.ts";
import { Vectors } from "./function/vectors.ts";
import { GuestMailbox } from "./mailbox/guest-mailbox.ts";
import { PfMailbox } from "./mailbox/pf-mailbox.ts";
import { addressPolicy, freshVf, release } from "./migration/address.ts";
import { Loader } from "./migration/loader.ts";
import { run } from "./migration/run.ts";
import { stop } from "./migration/stop.ts";
import type { IgbVfOptions } from "./options.ts";
import type { Parts } from "./parts.ts";
import { RxQueue } from "./queues/rx-queue.ts";
import { TxQueue } from "./queues/tx-queue.ts";
import { BAR0_SIZE, CTRL_RESET, REGISTER, VECTORS } from "./registers/registers.ts";
import { ShadowController } from "./shadow/controller.ts";
import { ALL_PAGES, FIRST_PAGE } from "./shadow/pages.ts";
import { shadowStatus } from "./shadow/status.ts";
import { capture, save } from "./state/save.ts";

/** An 82576 VF with its mailbox, vectors and first queue pair interposed. */
export class IgbVf implements SubDriver {
  readonly regions: readonly RegionFacet[];
  readonly reset: ResetFacet;
  readonly migration: MigrationOps;
  readonly dirtyTracking: DirtyLog;
  readonly #parts: Parts;

  /** @throws VfmigError `ERR_VFMIG_VF_LAYOUT` where the device is not laid out as an 82576 VF */
  constructor(context: SubDriverContext<IgbVfOptions>) {
    checkLayout(context);
    const { clock, logger, memory, options } = context;
    const always = options.shadow === "always";
    const shadow = new ShadowController(() => this.#parts, clock, always);
    this.dirtyTracking = new DirtyLog(shadow, logger);
    const registers = baseRegisters(context.base, PCI_REGION.BAR0);
    const allocate = (bytes: number) => context.dma.allocate(bytes);
    const session: Parts["session"] = {
      phase: "running",
      loaded: false,
      released: false,
      touched: false,
      policy: undefined,
      ringIndices: [],
    };
    const vectors = new Vectors(context, registers, (vector) => this.#onSignal(vector), !always);
    const pf = new PfMailbox({
      registers,
      clock,
      onMessage: (message) => mailbox.told(message),
      onReset: () => this.#pfWasReset(),
    });
    const interrupt = (): void => vectors.raiseMailbox();
    const mailbox = new GuestMailbox({ pf, logger, timeoutMs: options.pfTimeoutMs, interrupt });
    const queueParts = {
      registers,
      memory,
      dirty: this.dirtyTracking,
      logger,
      allocate,
      live: () => session.phase !== "stopped",
      arm: () => vectors.program(),
      switchedOff: () => shadow.settle(),
    };
    this.#parts = {
      context,
      registers,
      config: new PciConfigSpace(context.base, () => {
        this.#forget();
        shadow.settle();
      }),
      pf,
      mailbox,
      vectors,
      statistics: new Statistics(registers),
      rx: new RxQueue(queueParts),
      tx: new TxQueue(queueParts),
      announcement: new Announcement(allocate),
      shadow,
      session,
    };
    const relay = (bits: number): void => this.#relayFor(bits);
    const bar0 = new Bar0({ ...this.#parts, relay, reset: () => this.#resetByGuest() });
    this.regions = [bar0, this.#parts.config];
    this.reset = { prepare: () => this.#forget(), done: () => this.#afterReset() };
    this.migration = this.#migration();
  }

  #migration(): MigrationOps {
    const parts = this.#parts;
    const nothing = (): Promise<void> => Promise.resolve();
    return {
      arcs: {
        // A function that must not reach its peers is at a standstill already.
        "running->running-p2p": (signal) => this.#stop(signal),
        "running-p2p->running": (signal) => this.#run(signal),
        "running-p2p->stop": nothing,
        "stop->running-p2p": nothing,
        // From here on the device may be somebody else's: the PF is to forget its address.
        "stop->stop-copy": (signal) => release(parts, signal),
        "stop-copy->stop": nothing,
        // Here, and not when the state has come: the other host's guest still runs meanwhile.
        "stop->resuming": (signal) => this.#prepare(signal),
        "resuming->stop": nothing,
      },
      save: () => save(parts),
      load: () => new Loader(parts),
      size: () => JSON.stringify(capture(parts)).length,
    };
  }

  /** Every save leaves from private rings, also one that nothing has prepared. */
  async #stop(signal: AbortSignal): Promise<void> {
    const { shadow } = this.#parts;
    await shadow.open("saving", signal);
    try {
      await stop(this.#parts, signal);
    } catch (error) {
      shadow.close("saving");
      throw error;
    }
  }

  async #run(signal: AbortSignal): Promise<void> {
    await run(this.#parts, signal);
    this.#parts.shadow.close("saving");
  }

  async #prepare(signal: AbortSignal): Promise<void> {
    await freshVf(this.#parts, signal);
    await addressPolicy(this.#parts, signal);
  }

  /** The device raised a vector: what it has finished goes to the guest, and only then the guest is told. */
  #onSignal(vector: number): void {
    const { rx, tx, vectors, pf, session, shadow } = this.#parts;
    if (session.phase === "stopped") return;
    const sent = tx.complete();
    const received = rx.complete();
    // It may be of the guest's own ring still.
    if (shadow.mode === "held" && sent + received === 0) vectors.forward(vector);
    if (sent > 0) vectors.raiseTx();
    if (received > 0) vectors.raiseRx();
    // QEMU's igb raises the mailbox's cause on the receive vector, so that one without frames may be that.
    if (vector === VECTORS - 1 || (sent === 0 && received === 0)) pf.look();
  }

  /** The guest raises vectors itself, for fear of a lost interrupt. */
  #relayFor(bits: number): void {
    const { rx, tx, vectors, session } = this.#parts;
    if (session.phase === "stopped") return;
    if (vectors.serves("tx", bits)) tx.complete();
    if (vectors.serves("rx", bits)) rx.complete();
  }

  #resetByGuest(): void {
    const { registers, pf } = this.#parts;
    registers.write(REGISTER.CTRL, CTRL_RESET);
    pf.clear();
    this.#clear();
    this.#parts.shadow.settle();
  }

  /** The PF has reset itself, and the queues with it. A function that stands still is made anew before it runs. */
  #pfWasReset(): void {
    const { mailbox, rx, tx, session, shadow } = this.#parts;
    if (session.phase === "stopped") {
      session.released ||= mailbox.conversation.cleared;
      return;
    }
    rx.reset();
    tx.reset();
    session.policy = undefined;
    mailbox.pfWasReset();
    shadow.settle();
  }

  /** The guest's registers as after a reset. */
  #clear(): void {
    const { mailbox, rx, tx, vectors, session } = this.#parts;
    session.touched ||= mailbox.conversation.mac !== undefined;
    rx.reset();
    tx.reset();
    vectors.reset();
    mailbox.reset();
  }

  /** The function was reset: neither guest nor PF knows anything of it. */
  #forget(): void {
    const { session, mailbox, pf, vectors, shadow } = this.#parts;
    this.#clear();
    pf.clear();
    mailbox.forget();
    session.phase = "running";
    session.loaded = false;
    session.released = false;
    session.policy = undefined;
    vectors.thaw();
    mailbox.thaw();
    shadow.ends("saving");
  }

  /** A reset leaves the guest's address in the PF's filters, which is only cleared by asking. */
  async #afterReset(): Promise<void> {
    const { session, context, shadow } = this.#parts;
    try {
      if (session.touched) await freshVf(this.#parts);
    } catch (error) {
      context.logger.warn("the PF did not take notice of the VF's reset; it may keep its address", {
        error: String(error),
      });
    }
    shadow.settle();
  }

  describe(): ReturnType<NonNullable<SubDriver["describe"]>> {
    return describe(this.#parts);
  }

  status(): Readonly<Record<string, unknown>> {
    const { session, context, config, tx, rx, mailbox, shadow } = this.#parts;
    const own = shadow.mode === "direct" && context.options.doorbells === "direct";
    const pagesNow = own ? FIRST_PAGE : ALL_PAGES;
    const region = (
      index: number,
      ranges: readonly { offset: number; size: number }[],
    ): unknown[] => ranges.map(({ offset, size }) => ({ region: index, offset, size }));
    return {
      ...shadowStatus(this.#parts),
      trapped: [...region(PCI_REGION.BAR0, pagesNow), ...region(PCI_REGION.CONFIG, config.trapped)],
      mac: mailbox.conversation.mac,
      ringIndices: session.ringIndices,
      relayed: [{ queue: 0, tx: tx.relay?.counters, rx: rx.relay?.counters }],
    };
  }

  async close(): Promise<void> {
    const { vectors, announcement, rx, tx, session, mailbox, context, shadow } = this.#parts;
    shadow.dispose();
    try {
      vectors.silence();
      if (session.touched || mailbox.conversation.mac !== undefined) await freshVf(this.#parts);
    } catch (error) {
      // A device that is gone cannot be reset; everything else is still released.
      context.logger.debug("the VF could not be reset", {
        code: VfmigError.is(error) ? error.code : String(error),
      });
    }
    vectors.close();
    announcement.close();
    rx.close();
    tx.close();
  }
}

function checkLayout({ base }: SubDriverContext<IgbVfOptions>): void {
  const size = base.info.regions[PCI_REGION.BAR0]?.size ?? 0;
  const vectors = base.info.irqs[PCI_IRQ.MSIX]?.count ?? 0;
  if (size === BAR0_SIZE && vectors >= VECTORS) return;
  throw igbError(
    "ERR_VFMIG_VF_LAYOUT",
    `BAR0 has ${size} bytes and MSI-X ${vectors} vectors; an 82576 VF has ${BAR0_SIZE} and ${VECTORS}`,
    { size, vectors },
  );
}
