import { type Clock, type Timer, VfmigError } from "@vfmig/core";
import { virtchnlName } from "../virtchnl/opcodes.ts";
import type { ReceivedMessage } from "./private-mailbox.ts";

export interface RequestOptions {
  /** Milliseconds until the PF counts as silent. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** The PF has answered after all, after the request was given up. */
  readonly onLate?: (reply: Reply) => void;
}

/** The PF's answer to a request of our own. */
export interface Reply {
  readonly status: number;
  readonly body: Uint8Array;
}

interface Entry {
  readonly kind: "guest" | "own";
  readonly opcode: number;
  readonly body: Uint8Array;
  readonly settle?: (reply: Reply | Error) => void;
}

/** The driver waits about this long for its own requests. */
const DEFAULT_TIMEOUT_MS = 2000;

/**
 * Requests that wait for the PF. A PF answers a VF's requests in their order, and names only the
 * operation: the oldest request of that operation is the one that is answered.
 */
export class InFlight {
  readonly #clock: Clock;
  readonly #entries: Entry[] = [];
  readonly #queue: Entry[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#entries.length;
  }

  /** Requests of our own that were not sent yet. */
  get queued(): number {
    return this.#queue.length;
  }

  addGuest(opcode: number, body: Uint8Array): void {
    this.#entries.push({ kind: "guest", opcode, body });
  }

  /** The guest's unanswered requests, oldest first. */
  guests(): { readonly opcode: number; readonly body: Uint8Array }[] {
    return this.#entries
      .filter((entry) => entry.kind === "guest")
      .map(({ opcode, body }) => ({ opcode, body }));
  }

  queueOwn(opcode: number, body: Uint8Array, options: RequestOptions = {}): Promise<Reply> {
    const { promise, resolve, reject } = Promise.withResolvers<Reply>();
    const timeout = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    let timer: Timer | undefined;
    let settled = false;
    const abort = (): void => settle(silent(opcode, "the operation was given up"));
    const settle = (reply: Reply | Error): void => {
      if (settled) {
        if (!(reply instanceof Error)) {
          options.onLate?.(reply);
        }
        return;
      }
      settled = true;
      timer?.cancel();
      options.signal?.removeEventListener("abort", abort);
      if (reply instanceof Error) {
        reject(reply);
      } else {
        resolve(reply);
      }
    };
    const entry: Entry = { kind: "own", opcode, body, settle };
    this.#queue.push(entry);
    timer = this.#clock.after(timeout, () => {
      this.#unqueue(entry);
      settle(silent(opcode, `no answer within ${timeout} ms`));
    });
    if (options.signal?.aborted === true) {
      this.#unqueue(entry);
      abort();
    } else {
      options.signal?.addEventListener("abort", abort, { once: true });
    }
    return promise;
  }

  /** A request that was given up before it was sent is not sent; a sent one still takes its answer. */
  #unqueue(entry: Entry): void {
    const at = this.#queue.indexOf(entry);
    if (at >= 0) {
      this.#queue.splice(at, 1);
    }
  }

  /** The next of our own, which counts as sent from now on. */
  startOwn(): { readonly opcode: number; readonly body: Uint8Array } | undefined {
    const entry = this.#queue.shift();
    if (entry !== undefined) {
      this.#entries.push(entry);
    }
    return entry;
  }

  /** Whose request `message` answers; ours is settled with it. */
  answered(
    message: ReceivedMessage,
  ): { readonly kind: "guest" | "own"; readonly body: Uint8Array } | undefined {
    const at = this.#entries.findIndex((entry) => entry.opcode === message.opcode);
    if (at < 0) {
      return undefined;
    }
    const [entry] = this.#entries.splice(at, 1);
    entry?.settle?.({ status: message.status, body: message.body });
    return entry;
  }

  /** Nothing that waits will be answered. */
  fail(why: string): void {
    for (const entry of [...this.#entries.splice(0), ...this.#queue.splice(0)]) {
      entry.settle?.(silent(entry.opcode, why));
    }
  }
}

function silent(opcode: number, why: string): VfmigError {
  return new VfmigError(
    "ERR_VFMIG_PF_SILENT",
    `the PF did not answer ${virtchnlName(opcode)}: ${why}; look at the host's PF driver`,
    { layer: "plugin:iavf", details: { opcode, why } },
  );
}
