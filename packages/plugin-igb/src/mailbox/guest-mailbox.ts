import type { Logger } from "@vfmig/core";
import { VfmigError } from "@vfmig/core";
import { assignedBy, Conversation } from "./conversation.ts";
import {
  buildMac,
  FLAG,
  header,
  isAck,
  macBytes,
  OPCODE,
  opcodeName,
  opcodeOf,
} from "./messages.ts";
import type { PfMailbox } from "./pf-mailbox.ts";
import { VirtualMailbox, type VirtualMailboxState } from "./virtual-mailbox.ts";

/** The guest's mailbox, for saving. */
export interface GuestMailboxState extends VirtualMailboxState {
  /** A request of the guest that no PF has answered; null where there is none. */
  readonly request: readonly number[] | null;
  /** How the guest's PF answered VF_RESET before the first move: an address, null for none; absent before that. */
  readonly home?: string | null | undefined;
}

export interface GuestMailboxOptions {
  readonly pf: PfMailbox;
  readonly logger: Logger;
  /** Milliseconds that the PF has for each request. */
  readonly timeoutMs: number;
  /** Tells the guest that its mailbox has news. */
  readonly interrupt: () => void;
}

/**
 * Carries the guest's requests to the PF and remembers what was granted. After a move the guest goes on
 * hearing of the address that its first PF gave it, whatever the new PF would have given.
 */
export class GuestMailbox {
  readonly conversation: Conversation = new Conversation();
  readonly virtual: VirtualMailbox;
  readonly #options: GuestMailboxOptions;
  #request: number[] | undefined;
  #serving = false;
  #frozen = false;
  #home: string | null | undefined;
  /** False while the guest is where it began: what its administrator changes there is for it to know. */
  #moved = false;
  /** Raised by a reset: an answer to an earlier life's request is not the guest's any more. */
  #life = 0;

  constructor(options: GuestMailboxOptions) {
    this.#options = options;
    this.virtual = new VirtualMailbox((message) => this.#asked(message));
  }

  /** True once the guest has asked its PF for anything. */
  get spoken(): boolean {
    return this.#home !== undefined || this.#request !== undefined;
  }

  /** True while the PF works on a request of the guest's. */
  get serving(): boolean {
    return this.#serving;
  }

  /** What the PF says unasked goes to the guest. */
  told(message: readonly number[]): void {
    this.virtual.deliver(message);
    this.#options.interrupt();
  }

  /** The PF has been reset, and knows nothing of this VF any more. */
  pfWasReset(): void {
    this.conversation.forget();
    this.virtual.wasReset();
    this.#options.interrupt();
  }

  /** From now on requests wait. */
  freeze(): void {
    this.#frozen = true;
  }

  thaw(): void {
    this.#frozen = false;
    this.#serve();
  }

  /** The VF was reset. */
  reset(): void {
    this.#life++;
    this.#request = undefined;
    this.conversation.forget();
    this.virtual.reset();
  }

  /** Nothing is known of any guest any more. */
  forget(): void {
    this.reset();
    this.conversation.maxFrame = undefined;
    this.#home = undefined;
    this.#moved = false;
  }

  save(): GuestMailboxState {
    const home = this.#home === undefined ? {} : { home: this.#home };
    return { ...this.virtual.save(), request: this.#request ?? null, ...home };
  }

  load(state: GuestMailboxState): void {
    this.virtual.load(state);
    this.#request = state.request === null ? undefined : [...state.request];
    this.#home = state.home;
    this.#moved = true;
  }

  #asked(message: number[]): void {
    this.#request = message;
    this.#serve();
  }

  #serve(): void {
    if (this.#serving || this.#frozen || this.#request === undefined) return;
    this.#serving = true;
    void this.#carry(this.#request, this.#life);
  }

  async #carry(request: number[], life: number): Promise<void> {
    try {
      const reply = await this.#answerTo(request);
      if (life === this.#life) {
        this.virtual.deliver(reply);
        this.#options.interrupt();
      }
    } catch (error) {
      // The guest's driver has a limit of its own, and knows what to do then.
      this.#options.logger.warn(
        `the guest's ${opcodeName(opcodeOf(request[0] ?? 0))} was not answered`,
        {
          code: VfmigError.is(error) ? error.code : undefined,
          error: String(error),
        },
      );
    } finally {
      this.#serving = false;
      if (this.#request === request) this.#request = undefined;
      this.#serve();
    }
  }

  async #answerTo(request: number[]): Promise<readonly number[]> {
    const head = request[0] ?? 0;
    const reset = head === header(OPCODE.VF_RESET);
    if (!reset && !this.conversation.cleared) {
      this.virtual.taken();
      return [(head | FLAG.NACK) >>> 0];
    }
    const { pf, timeoutMs } = this.#options;
    const life = this.#life;
    const reply = await pf.exchange(request, {
      timeoutMs,
      onTaken: () => {
        if (life === this.#life) this.virtual.taken();
      },
    });
    if (life !== this.#life) return reply;
    if (reset) return await this.#resetReply(reply);
    this.conversation.answered(request, reply);
    return reply;
  }

  /** The answer to VF_RESET as the PF would have given it from which the guest came. */
  async #resetReply(reply: number[]): Promise<readonly number[]> {
    const { conversation } = this;
    const own = conversation.mac;
    conversation.wasReset(reply);
    const given = assignedBy(reply) ?? null;
    if (!this.#moved || this.#home === undefined) this.#home = given;
    const home = this.#home;
    if (given === home || given === own) return reply;
    if (home === null) return [(header(OPCODE.VF_RESET) | FLAG.NACK) >>> 0];
    const { pf, timeoutMs, logger } = this.#options;
    const request = buildMac(home);
    const granted = await pf.exchange(request, { timeoutMs });
    conversation.answered(request, granted);
    if (isAck(granted[0] ?? 0)) return resetAck(home);
    logger.warn(`the PF does not let the guest have its address ${home} again`, { given });
    return reply;
  }
}

function resetAck(mac: string): number[] {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = macBytes(mac);
  const low = (a | (b << 8) | (c << 16) | (d << 24)) >>> 0;
  return [(header(OPCODE.VF_RESET) | FLAG.ACK) >>> 0, low, e | (f << 8)];
}
