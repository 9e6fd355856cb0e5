import type { SendQueue } from "./send-queue.ts";

/** Larger messages go alone: to copy them costs as much as a call. */
const LONGEST = 1024;
/** The batch is sent when it has no room for one more. */
const CAPACITY = 8192;

/** Collects small messages that are sent while more are about to follow, and sends them in one call. */
export class SendBatch {
  readonly #queue: SendQueue;
  readonly #bytes: Uint8Array = new Uint8Array(CAPACITY);
  #length = 0;

  constructor(queue: SendQueue) {
    this.#queue = queue;
  }

  /**
   * Takes a message that can wait; false where it must be sent by its own. With nothing more to come and
   * nothing collected, no message waits.
   */
  add(
    bytes: Uint8Array,
    length: number,
    fds: readonly number[] | undefined,
    moreToCome: boolean,
  ): boolean {
    if (!moreToCome && this.#length === 0) return false;
    if (length > LONGEST || (fds !== undefined && fds.length > 0)) return false;
    if (this.#length + length > CAPACITY) this.flush();
    const own = this.#bytes;
    const at = this.#length;
    // A loop: `set` wants a view of the source, which is an allocation for each message.
    for (let i = 0; i < length; i += 1) own[at + i] = bytes[i] ?? 0;
    this.#length = at + length;
    if (!moreToCome) this.flush();
    return true;
  }

  flush(): void {
    const length = this.#length;
    if (length === 0) return;
    this.#length = 0;
    this.#queue.send(this.#bytes, length);
  }
}
