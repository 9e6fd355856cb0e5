import type { Clock, Timer } from "@vfmig/core";
import { type LoggedQueues, SwitchLog, SwitchTurns } from "@vfmig/shadow-queue";
import type { Parts } from "../parts.ts";
import { enter } from "./enter.ts";
import { leave } from "./leave.ts";
import { OWN_FROM } from "./pages.ts";
import type { ShadowMode, Switching } from "./switching.ts";
import { toGuest } from "./to-guest.ts";

/** Who needs the queues relayed: a log of device writes, or a saving or restoring session. */
export type ShadowReason = "logging" | "saving";

/** Milliseconds until a hand-back is tried again that frames were in the way of. */
const AGAIN_MS = 100;

/**
 * Decides whose rings the device works on. With `shadow: "always"` they are always private. With
 * `while-saving` the guest has device and vectors to itself until the first reason puts the queues on private
 * rings; when the last one is gone they go back: at once where they are off, else where that is wanted.
 */
export class ShadowController implements LoggedQueues, Switching {
  readonly log: SwitchLog;
  mode: ShadowMode;
  readonly #parts: () => Parts;
  readonly #reasons = new Set<ShadowReason>();
  readonly #always: boolean;
  readonly #turns = new SwitchTurns();
  #timer: Timer | undefined;
  /** The device does not go on in the middle of a ring. */
  #startsAtZero = false;
  #closed = false;

  constructor(parts: () => Parts, clock: Clock, always: boolean) {
    this.#parts = parts;
    this.log = new SwitchLog(clock);
    this.#always = always;
    this.mode = always ? "relay" : "direct";
  }

  /** Why queues are relayed now; with `always` also without a reason. */
  get reasons(): readonly ShadowReason[] {
    return [...this.#reasons];
  }

  get covers(): boolean {
    return this.mode !== "direct";
  }

  get wanted(): boolean {
    return this.#reasons.size > 0;
  }

  /** True where a register of BAR0 is the guest's and the device's alone just now. */
  isGuests(offset: number): boolean {
    return this.mode === "direct" && offset >= OWN_FROM;
  }

  /**
   * Settles when the queues are relayed. Where it fails they are as they were, and the reason is not there.
   * @throws VfmigError `ERR_VFMIG_VF_FEATURE`, `ERR_VFMIG_VF_POSITION`, `ERR_VFMIG_MAPPING_CONFLICT`, `ERR_VFMIG_TRAP_TIMEOUT`
   */
  async open(reason: ShadowReason, signal: AbortSignal): Promise<void> {
    this.#reasons.add(reason);
    this.#timer?.cancel();
    if (this.#always) return;
    try {
      await this.#turns.take(async () => {
        signal.throwIfAborted();
        if (this.mode === "direct") await enter(this.#parts(), this, signal);
      });
    } catch (error) {
      this.#reasons.delete(reason);
      throw error;
    } finally {
      this.settle();
    }
  }

  /** As {@link close}, and what follows from it waits for {@link settle}. */
  ends(reason: ShadowReason): void {
    this.#reasons.delete(reason);
  }

  /** The reason is gone; with the last one, queues go back to their guest. */
  close(reason: ShadowReason): void {
    this.#reasons.delete(reason);
    this.settle();
  }

  /** Nothing is begun any more. */
  dispose(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  /** Gives the device back to its guest, where nothing needs the queues relayed, and that can be done. */
  settle(): void {
    const parts = this.#parts();
    const busy = this.#turns.taken || parts.session.phase !== "running";
    if (this.#always || this.#closed || this.wanted || busy || this.mode !== "relay") return;
    if (!parts.tx.enabled && !parts.rx.enabled) toGuest(parts, this);
    else if (parts.context.options.handBack && !this.#startsAtZero) void this.#leave();
  }

  async #leave(): Promise<void> {
    const { context } = this.#parts();
    let again = false;
    try {
      const result = await this.#turns.take(() => leave(this.#parts(), this));
      again = result === "busy";
      this.#startsAtZero = result === "refused";
    } catch (error) {
      // A device that is closed meanwhile takes its base with it.
      if (this.#closed) return;
      this.#startsAtZero = true;
      context.logger.error("the queues could not go back to the guest's rings", {
        cause: String(error),
      });
    }
    this.#timer?.cancel();
    if (again) this.#timer = context.clock.after(AGAIN_MS, () => this.settle());
    else this.settle();
  }
}
