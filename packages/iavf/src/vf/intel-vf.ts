import {
  type Interception,
  type MigrationOps,
  PCI_IRQ,
  PCI_REGION,
  type ResetFacet,
  type RegionFacet,
  type SubDriver,
  type SubDriverContext,
  VfmigError,
} from "@vfmig/core";
import { Announcement, baseRegisters, PciConfigSpace } from "@vfmig/core/toolkit";
import { DirtyLog } from "@vfmig/shadow-queue";
import { MailboxRelay } from "../mailbox/mailbox-relay.ts";
import { VF_REGISTER_COUNT } from "../registers.ts";
import { describe } from "./describe/describe.ts";
import { Doorbells } from "./doorbells/doorbells.ts";
import { mappablePages } from "./doorbells/pages.ts";
import { TailReadBack } from "./doorbells/read-back.ts";
import { vfError } from "./errors.ts";
import type { VfFamily } from "./family.ts";
import { Bar0 } from "./function/bar0.ts";
import { intendedChange } from "./function/intended.ts";
import { createHooks } from "./function/mailbox-hooks.ts";
import { QueueVectors, signal } from "./function/queue-vectors.ts";
import { trappedNow } from "./function/trapped.ts";
import { migrationArcs } from "./migration/arcs.ts";
import { Loader } from "./migration/replay.ts";
import type { VfOptions } from "./options.ts";
import type { Parts } from "./parts.ts";
import { RingPool } from "./queues/ring-memory.ts";
import { ShadowQueues } from "./queues/shadow-queues.ts";
import { ShadowController } from "./shadow/controller.ts";
import { shadowStatus } from "./shadow/status.ts";
import { EarlyRecords } from "./state/early-records.ts";
import { capture, save } from "./state/save.ts";

/** An Intel VF with its mailbox, vectors and queues interposed. */
export class IntelVf implements SubDriver {
  readonly regions: readonly RegionFacet[];
  readonly reset: ResetFacet;
  readonly migration: MigrationOps;
  readonly dirtyTracking: DirtyLog;
  readonly #parts: Parts;
  readonly #pool: RingPool;
  readonly #bar0: Bar0;
  readonly #release: () => void;

  /** @throws VfmigError `ERR_VFMIG_VF_LAYOUT` where the device is not laid out as a VF of the family */
  constructor(context: SubDriverContext<VfOptions>, family: VfFamily) {
    const size = context.base.info.regions[PCI_REGION.BAR0]?.size ?? 0;
    if (size !== family.bar0Size) {
      throw vfError(
        family,
        "ERR_VFMIG_VF_LAYOUT",
        `BAR0 has ${size} bytes; a ${family.title} has ${family.bar0Size}, and its registers would be elsewhere`,
        { size },
      );
    }
    const shadow = new ShadowController(() => this.#parts, context.clock);
    this.dirtyTracking = new DirtyLog(shadow, context.logger);
    const allocate = (bytes: number) => context.dma.allocate(bytes);
    const registers = baseRegisters(context.base, PCI_REGION.BAR0);
    const shared = {
      family,
      registers,
      memory: context.memory,
      dirty: this.dirtyTracking,
      logger: context.logger,
    };
    this.#pool = new RingPool(allocate);
    // A pair per vector but the mailbox's is what the PF gives by default.
    const vectorCount = context.base.info.irqs[PCI_IRQ.MSIX]?.count ?? 0;
    this.#pool.reserve(Math.min(Math.max(vectorCount - 1, 1), VF_REGISTER_COUNT.queues));
    const direct = context.options.doorbells === "direct";
    const readBack = new TailReadBack(registers, () => doorbells.stir());
    const queues = new ShadowQueues(
      { ...shared, readBack: direct ? readBack : undefined },
      this.#pool,
    );
    const areas = direct ? mappablePages(context.base.info) : [];
    const doorbells = new Doorbells({ parts: () => this.#parts, areas, readBack });
    const always = context.options.shadow === "always";
    queues.relayNew = always;
    const relay = (tx: number, rx: number): void => {
      queues.relays.complete(tx, rx);
      shadow.moved();
    };
    const vectors = new QueueVectors(context, registers, {
      relay,
      ...(!always && { interposed: () => queues.interposed }),
    });
    const session: Parts["session"] = {
      phase: "running",
      touched: false,
      loaded: false,
      offers: undefined,
      outstanding: [],
      ringIndices: [],
    };
    let vectorZero: Interception | undefined;
    const mailbox = new MailboxRelay({
      ...shared,
      allocate,
      arqBaseField: family.arqBaseField,
      vlansStrip: family.vlansStrip,
      clock: context.clock,
      signalGuest: () => signal(vectorZero),
      hooks: createHooks(() => this.#parts),
      delivered: (opcode, iova, length) => {
        const change = intendedChange(opcode, iova, length, context.options.uncarried, family);
        if (change !== undefined) context.intends?.(change);
      },
    });
    vectorZero = context.interrupts.intercept(PCI_IRQ.MSIX, 0, () => {
      mailbox.onInterrupt();
      relay(vectors.zero.txQueues, vectors.zero.rxQueues);
    });
    const interception = vectorZero;
    this.#release = () => interception.release();
    const config = new PciConfigSpace(context.base, () => this.#forget());
    const announcement = new Announcement(allocate);
    this.#parts = {
      family,
      context,
      registers,
      config,
      queues,
      shadow,
      doorbells,
      vectors,
      mailbox,
      announcement,
      session,
    };
    this.#bar0 = new Bar0({ ...this.#parts, index: PCI_REGION.BAR0, mappable: areas });
    this.regions = [this.#bar0, config];
    this.reset = {
      prepare: () => this.#forget(),
      done: () => config.refresh(),
    };
    this.migration = this.#migration();
  }

  #migration(): MigrationOps {
    const parts = this.#parts;
    const early = new EarlyRecords(parts);
    return {
      arcs: migrationArcs(parts),
      save: () => save(parts),
      savePrecopy: () => early.records(),
      precopyInfo: () => early.info(),
      load: () => new Loader(parts),
      size: () => JSON.stringify(capture(parts)).length,
    };
  }

  /** The function was reset: neither guest nor PF knows anything of it. */
  #forget(): void {
    const { mailbox, queues, vectors, session } = this.#parts;
    queues.reset();
    queues.tails.load({ tx: [], rx: [] });
    vectors.reset();
    vectors.thaw();
    mailbox.clear();
    mailbox.thaw();
    this.#parts.shadow.reset();
    this.#parts.doorbells.reset();
    session.phase = "running";
    session.touched = false;
    session.loaded = false;
    session.offers = undefined;
    session.outstanding = [];
  }

  describe(): ReturnType<NonNullable<SubDriver["describe"]>> {
    return describe(this.#parts);
  }

  status(): Readonly<Record<string, unknown>> {
    const { queues, session, mailbox, config, doorbells } = this.#parts;
    return {
      ...shadowStatus(this.#parts),
      trapped: trappedNow(this.#bar0, config, doorbells.trapped),
      vsi: mailbox.vsi,
      ringIndices: session.ringIndices,
      relayed: queues.pairs.map((pair) => ({
        queue: pair.queue,
        tx: pair.tx.counters,
        rx: pair.rx.counters,
      })),
    };
  }

  close(): Promise<void> {
    const { mailbox, vectors, announcement, shadow, doorbells } = this.#parts;
    shadow.dispose();
    doorbells.dispose();
    try {
      mailbox.close();
    } catch (error) {
      // A device that is gone cannot take its rings back; everything else is still released.
      this.#parts.context.logger.debug("the mailbox could not be closed", {
        code: VfmigError.is(error) ? error.code : String(error),
      });
    }
    vectors.close();
    this.#release();
    announcement.close();
    this.#pool.close();
    return Promise.resolve();
  }
}
