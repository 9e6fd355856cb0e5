import { VIRTCHNL_OP } from "../virtchnl/opcodes.ts";
import type { ReceivedMessage } from "./private-mailbox.ts";

/** Messages that are kept at most; a guest that posts nothing loses the rest. */
const LIMIT = 64;

/** Messages for the guest that it has not got yet. Of each kind of event only the last is kept. */
export class Inbox {
  readonly #messages: ReceivedMessage[] = [];

  get messages(): readonly ReceivedMessage[] {
    return [...this.#messages];
  }

  /** False where it is full. */
  keep(message: ReceivedMessage): boolean {
    if (message.opcode === VIRTCHNL_OP.EVENT) {
      const known = this.#messages.findIndex(
        (kept) => kept.opcode === VIRTCHNL_OP.EVENT && kept.body[0] === message.body[0],
      );
      if (known >= 0) {
        this.#messages.splice(known, 1);
      }
    }
    if (this.#messages.length >= LIMIT) {
      return false;
    }
    this.#messages.push(message);
    return true;
  }

  /** Hands messages out, oldest first, until one is not taken; true if any was. */
  deliver(take: (message: ReceivedMessage) => boolean): boolean {
    let delivered = false;
    for (let [next] = this.#messages; next !== undefined && take(next); [next] = this.#messages) {
      this.#messages.shift();
      delivered = true;
    }
    return delivered;
  }

  /**
   * Takes what another host had kept. What this host's PF has said of itself meanwhile is newer, and
   * comes after it.
   */
  restore(messages: readonly ReceivedMessage[]): void {
    const newer = this.#messages.splice(0);
    for (const message of [...messages, ...newer]) {
      this.keep(message);
    }
  }

  clear(): void {
    this.#messages.length = 0;
  }
}
