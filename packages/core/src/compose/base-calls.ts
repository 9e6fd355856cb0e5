import type { Clock } from "../clock.ts";
import { VfmigError } from "../errors/vfmig-error.ts";

/** Waits for a base, but not for ever. */
export class BaseCalls {
  readonly #clock: Clock;
  readonly #limitMs: number;

  constructor(clock: Clock, limitMs: number) {
    this.#clock = clock;
    this.#limitMs = limitMs;
  }

  /**
   * Settles as `call` does, or fails at the limit; the call is given up then, not ended.
   * @param what - for the message, such as `a reset`
   * @throws VfmigError `ERR_VFMIG_BASE_TIMEOUT`, or what `call` throws
   */
  async within<T>(what: string, call: PromiseLike<T>): Promise<T> {
    const limitMs = this.#limitMs;
    const { promise: gaveUp, reject } = Promise.withResolvers<never>();
    const timer = this.#clock.after(limitMs, () =>
      reject(
        new VfmigError(
          "ERR_VFMIG_BASE_TIMEOUT",
          `The base device did not settle ${what} within ${limitMs} ms.`,
          { layer: "base", details: { what, limitMs, errno: "ETIMEDOUT" } },
        ),
      ),
    );
    try {
      return await Promise.race([gaveUp, call]);
    } finally {
      timer.cancel();
    }
  }
}

/** True for the error of a base that did not answer, and may still do what it was asked. */
export function isBaseTimeout(error: unknown): boolean {
  return VfmigError.is(error) && error.code === "ERR_VFMIG_BASE_TIMEOUT";
}
