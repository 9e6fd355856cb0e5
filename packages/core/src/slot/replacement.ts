import type { Clock } from "../clock.ts";
import type { VfioDevice } from "../device/vfio-device.ts";
import { VfmigError } from "../errors/vfmig-error.ts";
import type { Logger } from "../logger.ts";
import type { MigrationFacet } from "../migration/migration-facet.ts";
import { carryConfigSpace } from "./config-space.ts";
import type { IrqMemory } from "./irq-memory.ts";
import type { ReplacementOutcome, ReplacementStep } from "./outcome.ts";
import type { Successor } from "./successor.ts";

const CHUNK = 64 * 1024;

export interface ReplacementParts {
  readonly old: VfioDevice;
  readonly next: Successor;
  readonly from: MigrationFacet;
  readonly to: MigrationFacet;
  readonly irqs: IrqMemory;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Aborted where the user resets or closes the device meanwhile. */
  readonly signal: AbortSignal;
  /** Accesses wait from here on, until {@link ReplacementParts.openGate}. */
  readonly closeGate: () => void;
  readonly openGate: () => void;
  /** Settles when no mapping is on its way to the old device. */
  readonly mapsSettled: () => Promise<void>;
  /** The new device is the user's from here on. */
  readonly commit: () => void;
}

/** One device takes another's place; until the commit the old one can go on. */
export class Replacement {
  readonly #parts: ReplacementParts;
  readonly #phases: Record<ReplacementStep, number> = {
    ahead: 0,
    stop: 0,
    carry: 0,
    replay: 0,
    start: 0,
  };
  #step: ReplacementStep = "ahead";
  #since: number;
  #starting = false;

  constructor(parts: ReplacementParts) {
    this.#parts = parts;
    this.#since = parts.clock.now();
  }

  /** @throws VfmigError `ERR_VFMIG_REPLACE_FAILED`; the old device goes on, and the new one is closed */
  async run(): Promise<ReplacementOutcome> {
    try {
      return await this.#replace();
    } catch (error) {
      throw await this.#goOn(error);
    }
  }

  async #replace(): Promise<ReplacementOutcome> {
    const { old, next, from, to, irqs, clock, signal } = this.#parts;
    await next.caughtUp();
    signal.throwIfAborted();
    await to.setState("resuming");
    const earlyBytes = await this.#carryAhead();
    signal.throwIfAborted();

    this.#enter("stop");
    const closed = clock.now();
    this.#parts.closeGate();
    await this.#parts.mapsSettled();
    await from.setState("stop-copy");
    this.#enter("carry");
    const lateBytes = await this.#carry();
    this.#enter("replay");
    await next.caughtUp();
    carryConfigSpace(old, next.device);
    irqs.setOn(next.device);
    next.hasIrqs = true;
    await to.setState("stop");
    next.check();
    signal.throwIfAborted();
    this.#enter("start");
    this.#starting = true;
    await to.setState("running");
    next.check();
    signal.throwIfAborted();
    this.#enter("start");
    this.#parts.commit();
    this.#parts.openGate();
    const stateBytes = earlyBytes + lateBytes;
    const window = { pausedAt: closed, windowMs: this.#since - closed };
    return { phases: this.#phases, ...window, earlyBytes, stateBytes };
  }

  /** What of the state goes while the old device runs; returns how many bytes. */
  async #carryAhead(): Promise<number> {
    const { from } = this.#parts;
    if (!from.capabilities.preCopy) return 0;
    await from.setState("pre-copy");
    return this.#carry();
  }

  async #carry(): Promise<number> {
    const { from, to, signal } = this.#parts;
    const buffer = new Uint8Array(CHUNK);
    for (let bytes = 0; ;) {
      signal.throwIfAborted();
      const length = await from.readData(buffer);
      if (length === 0) return bytes;
      await to.writeData(buffer.subarray(0, length));
      bytes += length;
    }
  }

  #enter(step: ReplacementStep): void {
    const now = this.#parts.clock.now();
    this.#phases[this.#step] += now - this.#since;
    this.#step = step;
    this.#since = now;
  }

  /** The old device goes on, and never while the new one could. */
  async #goOn(cause: unknown): Promise<VfmigError> {
    const step = this.#step;
    if (this.#starting) await this.#closeNext();
    const lost = await this.#resume();
    this.#parts.openGate();
    if (!this.#starting) await this.#closeNext();
    const why = cause instanceof Error ? cause.message : String(cause);
    const fate =
      lost === undefined
        ? "The device that was there goes on, and its guest has noticed no more than a pause."
        : `The device that was there could not go on (${lost}), so it was reset: its guest's driver has to set it up again.`;
    return new VfmigError(
      "ERR_VFMIG_REPLACE_FAILED",
      `The device could not be replaced by "${this.#parts.next.device.info.identity.device}" (step ${step}): ${why} ${fate}`,
      {
        layer: VfmigError.is(cause) ? cause.layer : "core",
        details: { step, kept: lost === undefined },
        cause,
      },
    );
  }

  /** Why the old device could not go on as it was; undefined where it does. */
  async #resume(): Promise<string | undefined> {
    const { from, old, logger } = this.#parts;
    try {
      await from.setState("running");
      return undefined;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      await old.reset().catch((failure: unknown) => {
        logger.error("A device that could not go on could not be reset either.", { failure });
      });
      return why;
    }
  }

  async #closeNext(): Promise<void> {
    try {
      await this.#parts.next.device[Symbol.asyncDispose]();
    } catch (failure) {
      this.#parts.logger.error("A device that was to take another's place did not close well.", {
        failure,
      });
    }
  }
}
