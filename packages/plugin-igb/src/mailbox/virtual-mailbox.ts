import {
  MAILBOX,
  MAILBOX_DWORDS,
  MAILBOX_READ_TO_CLEAR,
  REGISTER,
} from "../registers/registers.ts";

/** The guest's side of its mailbox, for saving. */
export interface VirtualMailboxState {
  readonly memory: readonly number[];
  /** The guest has the buffer. */
  readonly owned: boolean;
  /** Bits that the guest has not read yet. */
  readonly bits: number;
  /** Messages of the PF that wait until the guest gives the buffer back. */
  readonly waiting: readonly (readonly number[])[];
}

/** Messages of the PF that wait at most; in hardware a later one replaces an earlier one. */
const WAITING_MAX = 4;
const MEMORY_END = REGISTER.VMBMEM + 4 * MAILBOX_DWORDS;

/** The mailbox as the guest sees it: memory of its own, and bits that its reads clear. */
export class VirtualMailbox {
  readonly #memory = new Uint32Array(MAILBOX_DWORDS);
  readonly #onRequest: (message: number[]) => void;
  #owned = false;
  #bits = 0;
  #waiting: (readonly number[])[] = [];

  /** @param onRequest - gets a copy of the memory when the guest says that it holds a message */
  constructor(onRequest: (message: number[]) => void) {
    this.#onRequest = onRequest;
  }

  /**
   * Undefined where `offset` is none of the mailbox's registers.
   * @param resetting - whether the PF is in reset now
   */
  read(offset: number, resetting: boolean): number | undefined {
    if (offset === REGISTER.V2PMAILBOX) {
      const bits = this.#bits;
      this.#bits = 0;
      return bits | (this.#owned ? MAILBOX.VFU : 0) | (resetting ? MAILBOX.RSTI : 0);
    }
    if (offset < REGISTER.VMBMEM || offset >= MEMORY_END) return undefined;
    return this.#memory[(offset - REGISTER.VMBMEM) >>> 2];
  }

  /** False where `offset` is none of the mailbox's registers. */
  write(offset: number, value: number): boolean {
    if (offset === REGISTER.V2PMAILBOX) {
      this.#owned = (value & MAILBOX.VFU) !== 0;
      if ((value & MAILBOX.REQ) !== 0) this.#onRequest([...this.#memory]);
      if (!this.#owned) this.#giveWaiting();
      return true;
    }
    if (offset < REGISTER.VMBMEM || offset >= MEMORY_END) return false;
    this.#memory[(offset - REGISTER.VMBMEM) >>> 2] = value;
    return true;
  }

  /** The PF has taken the guest's request. */
  taken(): void {
    this.#bits |= MAILBOX.PFACK;
  }

  /** The PF's reset is done. */
  wasReset(): void {
    this.#bits |= MAILBOX.RSTD;
  }

  /** Gives the guest what the PF says, now or when the buffer is free. */
  deliver(message: readonly number[]): void {
    if (this.#owned) {
      this.#waiting = [...this.#waiting, [...message]].slice(-WAITING_MAX);
      return;
    }
    for (const [at, dword] of message.entries()) this.#memory[at] = dword;
    this.#bits |= MAILBOX.PFSTS;
  }

  #giveWaiting(): void {
    const [first, ...rest] = this.#waiting;
    if (first === undefined) return;
    this.#waiting = rest;
    this.deliver(first);
  }

  /** The VF was reset: whoever had the buffer has lost it; the memory stays, as in hardware. */
  reset(): void {
    this.#owned = false;
    this.#bits = 0;
    this.#waiting = [];
  }

  save(): VirtualMailboxState {
    return {
      memory: [...this.#memory],
      owned: this.#owned,
      bits: this.#bits,
      waiting: this.#waiting.map((message) => [...message]),
    };
  }

  load(state: VirtualMailboxState): void {
    this.#memory.set(state.memory);
    this.#owned = state.owned;
    this.#bits = state.bits & MAILBOX_READ_TO_CLEAR;
    this.#waiting = state.waiting.map((message) => [...message]);
  }
}
