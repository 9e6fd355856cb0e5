import type { Clock } from "../clock.ts";
import { VfmigError, type Layer } from "../errors/vfmig-error.ts";

/** How long core waits for a sub-driver, in milliseconds. */
export interface ComposeLimits {
  /** One arc, commit included; and attach, which may have to reset the function. */
  readonly arcMs: number;
  /** Any other single answer: a record, a description, a dirty log, close. */
  readonly callMs: number;
  /** After an abort, for the running arc to come to rest before the device is reset. */
  readonly graceMs: number;
  /** One call of the base that it does not answer at once: a mapping, an unmapping, a reset. */
  readonly baseMs: number;
  /** For users to let go of pages that the sub-driver wants to trap. */
  readonly unmapMs: number;
}

export const DEFAULT_COMPOSE_LIMITS: ComposeLimits = {
  arcMs: 30_000,
  callMs: 10_000,
  graceMs: 1_000,
  baseMs: 30_000,
  unmapMs: 5_000,
};

/** Layers beneath a sub-driver: an error of theirs is not the sub-driver's. */
const BENEATH: readonly Layer[] = ["base", "linux", "vfio-user"];

/**
 * Everything that core calls in a sub-driver goes through here, so that whatever it does becomes a
 * bounded error that names it.
 */
export class PluginGuard {
  readonly layer: `plugin:${string}`;
  readonly #clock: Clock;

  constructor(name: string, clock: Clock) {
    this.layer = `plugin:${name}`;
    this.#clock = clock;
  }

  /** Calls at once; what is thrown is named. Not for hot paths, since `run` is a closure. */
  call<T>(what: string, run: () => T): T {
    try {
      return run();
    } catch (error) {
      throw this.named(what, error);
    }
  }

  /**
   * Waits for an answer, at most `limitMs`, and no longer than `signal` lets it. The call is given up
   * then, not ended: `run` gets a signal that says so.
   * @throws VfmigError `ERR_VFMIG_SUB_DRIVER_TIMEOUT`, the reason of `signal`, or what `run` throws
   */
  settle<T>(
    what: string,
    limitMs: number,
    run: (signal: AbortSignal) => T | PromiseLike<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    return this.bounded(what, limitMs, (inner) => this.start(what, () => run(inner)), signal);
  }

  /** As {@link PluginGuard.settle}, for core's own work: what `run` throws passes as it is. */
  async bounded<T>(
    what: string,
    limitMs: number,
    run: (signal: AbortSignal) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    const abort = new AbortController();
    const { promise: gaveUp, reject } = Promise.withResolvers<never>();
    // Whoever lost the race may still fail later; nobody is left to hear it.
    gaveUp.catch(() => {});
    const giveUp = (reason: unknown): void => {
      reject(reason);
      abort.abort(reason);
    };
    const onAbort = (): void => giveUp(signal?.reason);
    const timer = this.#clock.after(limitMs, () => giveUp(this.#timeout(what, limitMs)));
    signal?.addEventListener("abort", onAbort, { once: true });
    if (signal?.aborted === true) onAbort();
    try {
      return await Promise.race([gaveUp, run(abort.signal)]);
    } finally {
      timer.cancel();
      signal?.removeEventListener("abort", onAbort);
    }
  }

  /** An error as core passes it on: with a code, and with the layer at whose door it lies. */
  named(what: string, error: unknown): VfmigError {
    if (VfmigError.is(error)) {
      if (error.layer === this.layer || BENEATH.includes(error.layer)) return error;
      const { code, message, details } = error;
      return new VfmigError(code, message, { layer: this.layer, details, cause: error });
    }
    return new VfmigError(
      "ERR_VFMIG_SUB_DRIVER_FAILED",
      `${this.layer} failed in ${what}: ${messageOf(error)}.`,
      { layer: this.layer, details: { what }, cause: error },
    );
  }

  /** The error for an answer that the interface does not allow. */
  nonsense(what: string, answer: unknown, wanted: string): VfmigError {
    return new VfmigError(
      "ERR_VFMIG_SUB_DRIVER_ANSWER",
      `${this.layer} answered ${show(answer)} in ${what}, where ${wanted} is wanted.`,
      { layer: this.layer, details: { what, answer: show(answer), wanted } },
    );
  }

  /** Calls without a limit; what is thrown, at once or later, is named. */
  async start<T>(what: string, run: () => T | PromiseLike<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      throw this.named(what, error);
    }
  }

  #timeout(what: string, limitMs: number): VfmigError {
    return new VfmigError(
      "ERR_VFMIG_SUB_DRIVER_TIMEOUT",
      `${this.layer} did not settle ${what} within ${limitMs} ms.`,
      { layer: this.layer, details: { what, limitMs } },
    );
  }
}

/** An error of the base as core passes it on. */
export function baseError(what: string, error: unknown): VfmigError {
  if (VfmigError.is(error)) return error;
  return new VfmigError(
    "ERR_VFMIG_BASE_FAILED",
    `The base device failed in ${what}: ${messageOf(error)}.`,
    { layer: "base", details: { what }, cause: error },
  );
}

/** The text of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : show(error);
}

function show(value: unknown): string {
  if (typeof value === "function") return "a function";
  if (typeof value === "string") return JSON.stringify(value.slice(0, 80));
  if (typeof value !== "object" || value === null) return String(value);
  return Array.isArray(value) ? "a list" : "an object";
}
