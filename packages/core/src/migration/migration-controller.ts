import { closedError } from "../device/closed-error.ts";
import { AsyncLocalStorage } from "node:async_hooks";
import { messageOf, type PluginGuard } from "../compose/plugin-guard.ts";
import { VfmigError } from "../errors/vfmig-error.ts";
import type { Logger } from "../logger.ts";
import type { MigrationOps } from "../sub-driver/facets.ts";
import type { LoadSession } from "./load-session.ts";
import type { MigrationFacet, PrecopyInfo } from "./migration-facet.ts";
import { arcBetween, checkTarget, isSaving, migrationPath, requiredArcs } from "./next-state.ts";
import type { SaveSession } from "./save-session.ts";
import type { Arc, MigrationCapabilities, MigrationState } from "./states.ts";

/** How an arc ended: `lost` where the device cannot be said to be anywhere. */
export type ArcOutcome = "done" | "failed" | "lost" | "cancelled";

export interface MigrationControllerOptions {
  readonly capabilities: MigrationCapabilities;
  readonly ops: MigrationOps;
  readonly guard: PluginGuard;
  readonly logger: Logger;
  readonly arcMs: number;
  readonly graceMs: number;
  /** Opens a saving session; describes the device first, so it may wait. */
  openSave(precopy: boolean): Promise<SaveSession>;
  openLoad(): LoadSession;
  /** Called before the first arc of a walk; what it throws refuses the request. */
  beforeWalk(target: MigrationState): void;
  /** Called after a walk or a reset, with the state that was reached. */
  afterWalk(state: MigrationState): void;
  arcStarts(): void;
  arcEnds(outcome: ArcOutcome): void;
}

/**
 * Migration protocol v2 over a sub-driver's single arcs: walks paths, one request at a time, bounds
 * every step, and keeps the one session that the state implies.
 */
export class MigrationController implements MigrationFacet {
  readonly capabilities: MigrationCapabilities;
  readonly #options: MigrationControllerOptions;
  /** As they were when they were checked; what the sub-driver does to its table later is not looked at. */
  readonly #arcs: MigrationOps["arcs"];
  /** The asynchronous context of a running arc, so that a call back from inside it is known. */
  readonly #arcContext = new AsyncLocalStorage<{ running: boolean }>();
  #state: MigrationState = "running";
  #save: SaveSession | undefined;
  #load: LoadSession | undefined;
  /** Requests run one after the other; the promise of the last. Never rejects. */
  #tail: Promise<unknown> = Promise.resolve();
  /** Raised by a reset: requests of an earlier epoch are void. */
  #epoch = 0;
  #running: AbortController | undefined;
  /** The sub-driver's last arc, if it has not come to rest. */
  #unsettled: Promise<unknown> | undefined;
  #closed = false;
  #initialBytes = Infinity;

  constructor(options: MigrationControllerOptions) {
    this.#options = options;
    this.capabilities = options.capabilities;
    this.#arcs = takeArcs(options.ops, requiredArcs(options.capabilities));
  }

  get state(): MigrationState {
    return this.#state;
  }

  async setState(target: MigrationState): Promise<void> {
    if (this.#closed) throw closedError();
    this.refuseReentry("a state change");
    checkTarget(target, this.capabilities);
    const epoch = this.#epoch;
    await this.#enqueue(async () => {
      if (epoch !== this.#epoch) throw cancelled(`the change to ${target}`, this.#closed);
      await this.#walk(target, epoch);
    });
  }

  async readData(into: Uint8Array): Promise<number> {
    const session = isSaving(this.#state) ? this.#save : undefined;
    if (session === undefined) throw noSession("read", this.#state);
    return await session.read(into);
  }

  async writeData(from: Uint8Array): Promise<void> {
    const session = this.#state === "resuming" ? this.#load : undefined;
    if (session === undefined) throw noSession("written", this.#state);
    await session.write(from);
  }

  async dataSize(): Promise<number> {
    if (this.#closed) throw closedError();
    const { guard, ops } = this.#options;
    const size = guard.call("size()", () => ops.size());
    if (!isCount(size)) throw guard.nonsense("size()", size, "a number of bytes");
    return size;
  }

  async precopyInfo(): Promise<PrecopyInfo> {
    if (this.#state !== "pre-copy" && this.#state !== "pre-copy-p2p") {
      throw noSession("asked for pre-copy figures", this.#state);
    }
    const { guard, ops } = this.#options;
    const info = guard.call("precopyInfo()", () => ops.precopyInfo?.());
    if (!isPrecopyInfo(info)) {
      throw guard.nonsense("precopyInfo()", info, "two numbers of bytes, and reinit");
    }
    const { dirtyBytes } = info;
    const { reinit } = info;
    // The header goes first in any case, and the figure only falls, unless the session starts over.
    const least = this.#save?.drained === false ? 1 : 0;
    const most = reinit ? Infinity : this.#initialBytes;
    this.#initialBytes = Math.min(most, Math.max(least, info.initialBytes));
    return { initialBytes: this.#initialBytes, dirtyBytes, reinit };
  }

  /** @throws VfmigError `ERR_VFMIG_MIGRATION_REENTRY` where an arc's own code calls */
  refuseReentry(what: string): void {
    if (this.#arcContext.getStore()?.running !== true) return;
    const { layer } = this.#options.guard;
    throw new VfmigError(
      "ERR_VFMIG_MIGRATION_REENTRY",
      `${layer} asked for ${what} from inside one of its own arcs, which would wait for itself.`,
      { layer, details: { what, state: this.#state, errno: "EDEADLK" } },
    );
  }

  /**
   * Cancels the running arc and whatever waits, ends the sessions, and runs `reset` while nothing else
   * does. The state is RUNNING then, or ERROR if `reset` throws.
   */
  async reset(reset: () => Promise<void>): Promise<void> {
    this.refuseReentry("a reset");
    this.#epoch += 1;
    const reason = cancelled("the running step", false);
    this.#running?.abort(reason);
    const ended = this.#endSessions(reason);
    // Queued in the same turn: no request that comes after the reset may overtake it.
    await this.#enqueue(async () => {
      await ended;
      await this.#endSessions(reason);
      await this.#rest();
      try {
        await reset();
        this.#state = "running";
      } catch (error) {
        this.#state = "error";
        throw error;
      } finally {
        this.#options.afterWalk(this.#state);
      }
    });
  }

  /** Cancels what runs, ends the sessions, and refuses everything from now on. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#epoch += 1;
    const reason = cancelled("the running step", true);
    this.#running?.abort(reason);
    await this.#endSessions(reason);
    await this.#tail;
    await this.#endSessions(reason);
    await this.#rest();
  }

  #enqueue<T>(run: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(run);
    this.#tail = result.catch(() => {});
    return result;
  }

  async #walk(target: MigrationState, epoch: number): Promise<void> {
    const path = migrationPath(this.#state, target, this.capabilities);
    if (path.length === 0) return;
    this.#options.beforeWalk(target);
    try {
      for (const state of path) {
        if (epoch !== this.#epoch) throw cancelled(`the change to ${target}`, this.#closed);
        await this.#step(state);
      }
    } finally {
      this.#options.afterWalk(this.#state);
    }
  }

  async #step(to: MigrationState): Promise<void> {
    const { guard, arcMs, logger } = this.#options;
    const from = this.#state;
    const arc = arcBetween(from, to);
    const abort = new AbortController();
    let outcome: ArcOutcome = "lost";
    this.#running = abort;
    this.#options.arcStarts();
    try {
      await guard.bounded(
        `the arc ${arc}`,
        arcMs,
        (signal) => this.#track(arc, signal),
        abort.signal,
      );
      outcome = "done";
      this.#state = to;
    } catch (error) {
      const failure = this.#asArcError(arc, error);
      outcome = abort.signal.aborted ? "cancelled" : outcomeOf(failure);
      if (outcome === "lost") await this.#lose(failure);
      logger.warn(`The arc ${arc} ended ${outcome}: ${failure.message}`, { code: failure.code });
      throw failure;
    } finally {
      this.#running = undefined;
      this.#options.arcEnds(outcome);
    }
    if (isSaving(from) && !isSaving(to)) await this.#endSave(endOf("saving", to));
  }

  /** Runs an arc in a context of its own, and knows when it has come to rest. */
  #track(arc: Arc, signal: AbortSignal): Promise<void> {
    const context = { running: true };
    const duty = this.#arcContext.run(context, () => this.#duty(arc, signal));
    const unsettled = this.#settle(duty, () => {
      context.running = false;
      if (this.#unsettled === unsettled) this.#unsettled = undefined;
    });
    this.#unsettled = unsettled;
    return duty;
  }

  async #settle(duty: Promise<void>, settled: () => void): Promise<void> {
    await Promise.allSettled([duty]);
    settled();
  }

  /** What an arc does besides the sub-driver's own part. `signal` says that it was given up. */
  async #duty(arc: Arc, signal: AbortSignal): Promise<void> {
    switch (arc) {
      case "resuming->stop":
        await this.#load?.commit(signal);
        await this.#run(arc, signal);
        if (!signal.aborted) this.#load = undefined;
        return;
      case "stop->resuming":
        await this.#run(arc, signal);
        if (!signal.aborted) this.#load = this.#options.openLoad();
        return;
      case "stop->stop-copy":
      case "running->pre-copy":
      case "running-p2p->pre-copy-p2p":
        return await this.#openSave(arc, signal);
      case "pre-copy->stop-copy":
      case "pre-copy-p2p->stop-copy":
        await this.#run(arc, signal);
        if (!signal.aborted) this.#save?.enterFinal();
        return;
      default:
        await this.#run(arc, signal);
    }
  }

  async #openSave(arc: Arc, signal: AbortSignal): Promise<void> {
    const session = await this.#options.openSave(arc !== "stop->stop-copy");
    try {
      await this.#run(arc, signal);
      signal.throwIfAborted();
    } catch (error) {
      await session.end(endOf("saving", this.#state)).catch(() => {});
      throw error;
    }
    this.#initialBytes = Infinity;
    this.#save = session;
  }

  #run(arc: Arc, signal: AbortSignal): Promise<void> {
    return this.#options.guard.start(`the arc ${arc}`, () => this.#arcs[arc]?.(signal));
  }

  /** Waits for a cancelled arc to come to rest, but not for ever. */
  async #rest(): Promise<void> {
    const unsettled = this.#unsettled;
    if (unsettled === undefined) return;
    const { guard, graceMs, logger } = this.#options;
    try {
      await guard.settle("its cancelled arc", graceMs, () => unsettled);
    } catch (error) {
      logger.error(`${messageOf(error)} It is given up.`, { layer: guard.layer });
      this.#unsettled = undefined;
    }
  }

  async #lose(reason: VfmigError): Promise<void> {
    this.#state = "error";
    await this.#endSessions(reason);
  }

  async #endSessions(reason: VfmigError): Promise<void> {
    this.#load?.end(reason);
    this.#load = undefined;
    await this.#endSave(reason);
  }

  async #endSave(reason: VfmigError): Promise<void> {
    const session = this.#save;
    this.#save = undefined;
    try {
      await session?.end(reason);
    } catch (error) {
      this.#options.logger.error(`The saving session did not end well: ${messageOf(error)}`);
    }
  }

  #asArcError(arc: Arc, error: unknown): VfmigError {
    const { guard } = this.#options;
    const named = VfmigError.is(error) ? error : guard.named(`the arc ${arc}`, error);
    const isLimit = named.code === "ERR_VFMIG_SUB_DRIVER_TIMEOUT";
    if (!isLimit || named.details["what"] !== `the arc ${arc}`) return named;
    const { layer, details } = named;
    return new VfmigError(
      "ERR_VFMIG_MIGRATION_TIMEOUT",
      `${named.message} The device is in ERROR; reset it.`,
      { layer, details: { ...details, arc, errno: "ETIMEDOUT" }, cause: named },
    );
  }
}

function takeArcs({ arcs }: MigrationOps, needed: readonly Arc[]): MigrationOps["arcs"] {
  return Object.fromEntries(needed.map((arc) => [arc, arcs[arc]?.bind(arcs)]));
}

function outcomeOf(failure: VfmigError): ArcOutcome {
  // A sub-driver says by this code that it no longer knows what its device holds.
  const lost: readonly string[] = ["ERR_VFMIG_MIGRATION_LOST", "ERR_VFMIG_MIGRATION_TIMEOUT"];
  return lost.includes(failure.code) ? "lost" : "failed";
}

function cancelled(what: string, closed: boolean): VfmigError {
  const why = closed ? "the device was closed" : "the device was reset";
  return new VfmigError("ERR_VFMIG_MIGRATION_CANCELLED", `Cancelled ${what}: ${why}.`, {
    layer: "core",
    details: { errno: "ECANCELED" },
  });
}

function endOf(kind: string, state: MigrationState): VfmigError {
  return new VfmigError(
    "ERR_VFMIG_MIGRATION_SESSION",
    `The ${kind} session has ended: the device went to ${state}.`,
    { layer: "core", details: { state, errno: "ENODEV" } },
  );
}

function noSession(what: string, state: MigrationState): VfmigError {
  return new VfmigError(
    "ERR_VFMIG_MIGRATION_SESSION",
    `Nothing can be ${what} in ${state}, which has no such session.`,
    { layer: "core", details: { state, errno: "ENODEV" } },
  );
}

function isPrecopyInfo(info: PrecopyInfo | undefined): info is PrecopyInfo {
  return (
    isCount(info?.initialBytes) && isCount(info.dirtyBytes) && typeof info.reinit === "boolean"
  );
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
