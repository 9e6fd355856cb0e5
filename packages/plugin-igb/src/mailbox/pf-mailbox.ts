import type { Clock } from "@vfmig/core";
import { igbError } from "../errors.ts";
import { type RegisterAccess, waitUntil } from "@vfmig/core/toolkit";
import {
  MAILBOX,
  MAILBOX_DWORDS,
  MAILBOX_READ_TO_CLEAR,
  REGISTER,
} from "../registers/registers.ts";
import { isAck, keyOf, OPCODE, opcodeName, opcodeOf } from "./messages.ts";

export interface ExchangeOptions {
  /** Milliseconds for the whole exchange. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** The PF has taken the request; its answer may come later, or never. */
  readonly onTaken?: (() => void) | undefined;
}

export interface PfMailboxOptions {
  readonly registers: RegisterAccess;
  readonly clock: Clock;
  /** What the PF says unasked. */
  readonly onMessage: (message: readonly number[]) => void;
  /** The PF resets itself, or has: it has forgotten every VF. */
  readonly onReset: () => void;
}

/** Dwords of an answer: three for VF_RESET, one for all else. */
const RESET_REPLY = 3;

/**
 * The real mailbox: one exchange at a time. A read of its register destroys what it tells, so nobody
 * else may read it, and what was seen is kept here.
 */
export class PfMailbox {
  readonly #options: PfMailboxOptions;
  #latched = 0;
  #resetting = false;
  #last: Promise<unknown> = Promise.resolve();
  /** Raised by {@link PfMailbox.clear}: exchanges of an earlier life are void. */
  #life = 0;
  /** Resets of the PF that were seen. */
  #resets = 0;
  #exchanging = false;

  constructor(options: PfMailboxOptions) {
    this.#options = options;
  }

  /** True while the PF says that it is in reset. */
  get resetting(): boolean {
    return this.#resetting;
  }

  /**
   * Sends a request and gives the PF's answer, which may be a refusal.
   * @throws VfmigError `ERR_VFMIG_PF_SILENT`, `ERR_VFMIG_VF_NOT_READY` where the PF or the VF is reset
   */
  exchange(request: readonly number[], options: ExchangeOptions): Promise<number[]> {
    const life = this.#life;
    const result = this.#last.then(async () => {
      this.#exchanging = true;
      try {
        return await this.#run(request, options, () => this.#checkLife(request, life));
      } finally {
        this.#exchanging = false;
      }
    });
    this.#last = result.catch(() => undefined);
    return result;
  }

  /**
   * As {@link PfMailbox.exchange}, and the PF has to grant it.
   * @throws VfmigError `ERR_VFMIG_PF_REFUSED` too
   */
  async demand(request: readonly number[], options: ExchangeOptions): Promise<void> {
    const reply = await this.exchange(request, options);
    if (isAck(reply[0] ?? 0)) return;
    throw igbError(
      "ERR_VFMIG_PF_REFUSED",
      `the PF refused ${nameOf(request)}; give this VF what the other one had`,
      { request: [...request], reply },
    );
  }

  /** Settles once every exchange so far has ended. */
  async settled(): Promise<void> {
    await this.#last;
  }

  /** Sees what the PF has done, and takes what it says unasked. */
  look(): void {
    this.#poll();
    if (!this.#exchanging && (this.#latched & MAILBOX.PFSTS) !== 0) {
      const message = this.#take();
      if (message !== undefined) this.#options.onMessage(message);
    }
  }

  /** The VF was reset: no answer to an earlier request is waited for any more. */
  clear(): void {
    this.#life++;
    this.#latched = 0;
  }

  async #run(
    request: readonly number[],
    options: ExchangeOptions,
    check: () => void,
  ): Promise<number[]> {
    const { timeoutMs, signal } = options;
    let resets = this.#resets;
    const { clock } = this.#options;
    const end = clock.now() + timeoutMs;
    const wait = async (what: string, done: () => boolean): Promise<void> => {
      const look = (): boolean => {
        check();
        const is = done();
        this.#checkResets(request, resets);
        return is;
      };
      const limit = Math.max(0, end - clock.now());
      if (!(await waitUntil(clock, look, limit, signal))) throw silent(request, what, timeoutMs);
    };
    await wait("is in reset or does not give the buffer", () => {
      const locked = this.#lock();
      // A VF that begins anew does not mind that its PF did.
      if (opcodeOf(request[0] ?? 0) === OPCODE.VF_RESET) resets = this.#resets;
      return locked;
    });
    this.#send(request);
    await wait("does not take it", () => this.#seen(MAILBOX.PFACK));
    options.onTaken?.();
    let reply: number[] | undefined;
    await wait("does not answer it", () => {
      reply ??= this.#answer(request);
      return reply !== undefined;
    });
    return reply ?? [];
  }

  /** Takes the buffer for writing; what the PF left in it unread is taken first. */
  #lock(): boolean {
    this.#poll();
    if (this.#resetting) return false;
    if ((this.#latched & MAILBOX.PFSTS) !== 0) {
      const message = this.#take();
      if (message !== undefined) this.#options.onMessage(message);
      return false;
    }
    return this.#own();
  }

  #own(): boolean {
    this.#options.registers.write(REGISTER.V2PMAILBOX, MAILBOX.VFU);
    return (this.#poll() & MAILBOX.VFU) !== 0;
  }

  #send(request: readonly number[]): void {
    const { registers } = this.#options;
    for (let at = 0; at < Math.min(request.length, MAILBOX_DWORDS); at++) {
      registers.write(REGISTER.VMBMEM + 4 * at, request[at] ?? 0);
    }
    // Whatever comes from now on is about this request.
    this.#latched &= ~(MAILBOX.PFACK | MAILBOX.PFSTS);
    registers.write(REGISTER.V2PMAILBOX, MAILBOX.REQ);
  }

  /** The answer to `request`; what else the PF says meanwhile is passed on. */
  #answer(request: readonly number[]): number[] | undefined {
    if (!this.#seen(MAILBOX.PFSTS)) return undefined;
    const message = this.#take();
    if (message === undefined) return undefined;
    if (keyOf(message[0] ?? 0) === keyOf(request[0] ?? 0)) return message;
    if (opcodeOf(message[0] ?? 0) === OPCODE.PF_CONTROL) this.#options.onMessage(message);
    // Else a late answer to a request that was given up.
    return undefined;
  }

  /** Reads the PF's message and gives the buffer back; undefined where the PF has it just now. */
  #take(): number[] | undefined {
    const { registers } = this.#options;
    if (!this.#own()) return undefined;
    this.#latched &= ~MAILBOX.PFSTS;
    const head = registers.read(REGISTER.VMBMEM);
    const length = opcodeOf(head) === OPCODE.VF_RESET ? RESET_REPLY : 1;
    const message = Array.from({ length }, (_, at) =>
      at === 0 ? head : registers.read(REGISTER.VMBMEM + 4 * at),
    );
    registers.write(REGISTER.V2PMAILBOX, MAILBOX.ACK);
    return message;
  }

  #seen(bit: number): boolean {
    this.#poll();
    return (this.#latched & bit) !== 0;
  }

  #poll(): number {
    const value = this.#options.registers.read(REGISTER.V2PMAILBOX);
    this.#latched |= value & MAILBOX_READ_TO_CLEAR;
    const resetting = (value & MAILBOX.RSTI) !== 0;
    const begins = resetting && !this.#resetting;
    this.#resetting = resetting;
    if (begins || (this.#latched & MAILBOX.RSTD) !== 0) {
      this.#resets++;
      this.#latched = 0;
      this.#options.onReset();
    }
    return value;
  }

  #checkResets(request: readonly number[], resets: number): void {
    if (resets === this.#resets) return;
    throw igbError("ERR_VFMIG_VF_NOT_READY", `${nameOf(request)} was given up: the PF was reset`, {
      request: [...request],
    });
  }

  #checkLife(request: readonly number[], life: number): void {
    if (life === this.#life) return;
    throw igbError(
      "ERR_VFMIG_VF_NOT_READY",
      `${nameOf(request)} was given up: the VF was reset meanwhile`,
      { request: [...request] },
    );
  }
}

function nameOf(request: readonly number[]): string {
  return opcodeName(opcodeOf(request[0] ?? 0));
}

function silent(request: readonly number[], what: string, timeoutMs: number): Error {
  return igbError(
    "ERR_VFMIG_PF_SILENT",
    `${nameOf(request)}: the PF ${what} within ${timeoutMs} ms; look at the host's igb driver and its log`,
    { request: [...request], timeoutMs },
  );
}
