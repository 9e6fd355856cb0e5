import type { SendResult } from "./private-mailbox.ts";

/** Whose a send is: ours, the guest's, or one of the guest's that was served here with this code. */
export type SendOwner = "own" | "guest" | number;

export interface SendLedgerOptions {
  /** The next send that the device has taken, oldest first. */
  readonly nextSent: () => SendResult | undefined;
  /** Tells the guest in its ring that its oldest send is done. */
  readonly report: (result: SendResult) => void;
}

/**
 * Sends in ring order, until the device has taken them. While the guest's memory may not be written,
 * what the guest is to be told of them is kept.
 */
export class SendLedger {
  readonly #options: SendLedgerOptions;
  readonly #sends: SendOwner[] = [];
  readonly #kept: SendResult[] = [];

  constructor(options: SendLedgerOptions) {
    this.#options = options;
  }

  /** Sends that the device has not taken. */
  get size(): number {
    return this.#sends.length;
  }

  /** The guest's own of {@link SendLedger.size}. */
  get guests(): number {
    return this.#sends.filter((send) => send === "guest").length;
  }

  /** What the guest is still to be told. */
  get kept(): readonly SendResult[] {
    return [...this.#kept];
  }

  add(owner: SendOwner): void {
    this.#sends.push(owner);
  }

  /** Settles what the device has taken, as `nextSent` tells it; `frozen` keeps it from the guest. */
  poll(frozen: boolean, nextSent: SendLedgerOptions["nextSent"] = this.#options.nextSent): void {
    for (let next = this.#sends[0]; next !== undefined; next = this.#sends[0]) {
      const result = typeof next === "number" ? { flags: 0, returnValue: next } : nextSent();
      if (result === undefined) {
        return;
      }
      this.#sends.shift();
      if (next !== "own") {
        this.#tell(result, frozen);
      }
    }
  }

  #tell(result: SendResult, frozen: boolean): void {
    if (frozen) {
      this.#kept.push(result);
    } else {
      this.#options.report(result);
    }
  }

  /** Tells the guest what was kept. */
  thaw(): void {
    for (const result of this.#kept.splice(0)) {
      this.#options.report(result);
    }
  }

  /** Takes over what another host has kept. */
  restore(kept: readonly SendResult[]): void {
    this.#kept.splice(0, this.#kept.length, ...kept);
  }

  /** The guest has set its send ring up anew: what it had sent there is no longer its affair. */
  disown(): void {
    this.#kept.length = 0;
    for (const [index, send] of this.#sends.entries()) {
      this.#sends[index] = send === "guest" ? "own" : send;
    }
    while (typeof this.#sends[0] === "number") {
      this.#sends.shift();
    }
  }

  clear(): void {
    this.#sends.length = 0;
    this.#kept.length = 0;
  }
}
