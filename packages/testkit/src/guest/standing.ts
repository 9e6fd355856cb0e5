import { asFault, type GuestFault, useError } from "./fault.ts";
import type { GuestDriverOptions, GuestState } from "./options.ts";

/** Where the life of a VF in its driver's hands stands, its link, and the fault that ended it. */
export class Standing {
  linkChanges = 0;
  resets = 0;
  readonly #options: Pick<GuestDriverOptions, "onFault" | "onLink">;
  readonly #onBroken: (fault: GuestFault) => void;
  #state: GuestState = "off";
  #linkUp = false;
  #fault: GuestFault | undefined;

  /** @param onBroken stops all that the life still has under way */
  constructor(
    options: Pick<GuestDriverOptions, "onFault" | "onLink">,
    onBroken: (fault: GuestFault) => void,
  ) {
    this.#options = options;
    this.#onBroken = onBroken;
  }

  /** What a driver set last; a broken one stays broken. */
  get state(): GuestState {
    return this.#fault === undefined ? this.#state : "broken";
  }

  set state(state: GuestState) {
    this.#state = state;
  }

  get fault(): GuestFault | undefined {
    return this.#fault;
  }

  get linkUp(): boolean {
    return this.#linkUp;
  }

  /** True where that is news. */
  setLink(up: boolean): boolean {
    if (up === this.#linkUp) return false;
    this.#linkUp = up;
    this.linkChanges++;
    this.#options.onLink?.(up);
    return true;
  }

  /** @throws VfmigError `ERR_VFMIG_GUEST_USE` where the driver does not run */
  requireRunning(what: string): void {
    if (this.state !== "running") throw useError(`${what} of a driver that is ${this.state}`);
  }

  /** Runs a piece of the guest; what it throws breaks the guest. */
  guard(run: () => void): void {
    if (this.#fault !== undefined) return;
    try {
      run();
    } catch (error) {
      this.break(asFault(error));
    }
  }

  /** The first fault ends the life. */
  break(fault: GuestFault): void {
    if (this.#fault !== undefined) return;
    this.#fault = fault;
    this.#linkUp = false;
    this.#onBroken(fault);
    this.#options.onFault(fault);
  }
}
