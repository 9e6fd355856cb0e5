import type { Clock } from "@vfmig/core";
import { RSTAT, VF_REGISTER } from "@vfmig/iavf";
import { GuestFault } from "../guest/fault.ts";
import type { PciSlot } from "../guest/pci-slot.ts";
import type { Conversation } from "./conversation.ts";

/** iavf looks this often, in milliseconds, for a reset's start at most 500 times, for its end 2,000. */
const POLL_MS = 10;
const START_POLLS = 500;
const END_POLLS = 2000;

/** Waits for a function to be there, as iavf does at its start and in a reset. */
export class ResetState {
  readonly #slot: PciSlot;
  readonly #talk: Conversation;
  readonly #clock: Clock;

  constructor(slot: PciSlot, talk: Conversation, clock: Clock) {
    this.#slot = slot;
    this.#talk = talk;
    this.#clock = clock;
  }

  /**
   * Runs `then` once RSTAT tells an active function; at the start "completed" will do as well.
   * @throws GuestFault after 20 s
   */
  awaitFunction(start: boolean, then: () => void, polls: number = END_POLLS): void {
    const state = this.#slot.read32(VF_REGISTER.VFGEN_RSTAT) & RSTAT.MASK;
    if (state === RSTAT.ACTIVE || (start && state === RSTAT.COMPLETED)) {
      then();
      return;
    }
    if (polls === 0) throw new GuestFault("reset-state", `RSTAT stays ${state}`, { state });
    this.#clock.after(POLL_MS, () => this.awaitFunction(start, then, polls - 1));
  }

  /** Runs `then` after a reset: the mailbox goes off (or does not within 5 s), the function comes back. */
  awaitReset(then: () => void, polls: number = START_POLLS): void {
    if (this.#talk.alive && polls > 0) {
      this.#clock.after(POLL_MS, () => this.awaitReset(then, polls - 1));
      return;
    }
    this.awaitFunction(false, then);
  }
}
