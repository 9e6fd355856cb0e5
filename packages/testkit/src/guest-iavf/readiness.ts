import type { Clock, Timer } from "@vfmig/core";
import { GuestFault } from "../guest/fault.ts";
import type { Standing } from "../guest/standing.ts";

/** After ENABLE_QUEUES the PF tells the link's state; iavf would wait for ever. In milliseconds. */
const CARRIER_LIMIT_MS = 10_000;

/** What waits for a guest: until it has a carrier and all filters, so that no frame is missed, or its end. */
export class Readiness {
  readonly #standing: Standing;
  readonly #clock: Clock;
  #waiter: PromiseWithResolvers<undefined> | undefined;
  #carrierLimit: Timer | undefined;
  #filtersSet = false;

  /** @param clock breaks the guest where no carrier comes */
  constructor(standing: Standing, clock: Clock) {
    this.#standing = standing;
    this.#clock = clock;
  }

  wait(): Promise<undefined> {
    this.#waiter = Promise.withResolvers<undefined>();
    return this.#waiter.promise;
  }

  /** The queues run: a carrier must come, and {@link filtersSet} where there are filters to set. */
  begin(filters: boolean): void {
    this.#filtersSet = !filters;
    this.#carrierLimit = this.#clock.after(CARRIER_LIMIT_MS, () => {
      throw new GuestFault("no-carrier", "no link event came within 10 s of ENABLE_QUEUES");
    });
  }

  filtersSet(): void {
    this.#filtersSet = true;
    this.#tell();
  }

  setLink(up: boolean): void {
    this.#carrierLimit?.cancel();
    if (this.#standing.setLink(up)) this.#tell();
  }

  /** What is waited for is there. */
  done(): void {
    this.#waiter?.resolve(undefined);
    this.#waiter = undefined;
  }

  fail(fault: GuestFault): void {
    this.#carrierLimit?.cancel();
    this.#waiter?.reject(fault);
    this.#waiter = undefined;
  }

  #tell(): void {
    const { state, linkUp } = this.#standing;
    if (state === "running" && linkUp && this.#filtersSet) this.done();
  }
}
