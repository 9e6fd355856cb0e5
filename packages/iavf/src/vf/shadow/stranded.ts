import type { Timer } from "@vfmig/core";
import type { EndSwitch, SwitchLog } from "@vfmig/shadow-queue";
import { resetUnderGuest } from "../migration/reset-vf.ts";
import type { Halves } from "../queues/halves.ts";
import type { QueuePair } from "../queues/queue-pair.ts";
import { any, halvesOf, isCurrent, type PairParts, type QueueBits } from "./pair-requests.ts";
import type { PairPlace } from "./relay-from.ts";
import { runAgain, type StrandedHalves, strandedHalves } from "./run-again.ts";
import type { StrandedDoing, StrandedStatus } from "./stranded-status.ts";

/** How often a PF is asked to run queues again before the VF is reset; each time it has twice as long. */
const ATTEMPTS = 3;
/** Milliseconds between two attempts; twice as long each time. */
const PAUSE_MS = 100;
/** Milliseconds between looks at a stop that is under way. */
const LOOK_MS = 5;

export interface StrandedParts {
  readonly parts: () => PairParts;
  readonly log: SwitchLog;
  /** Runs one switch when no other runs. */
  readonly exclusively: <T>(run: () => Promise<T>) => Promise<T>;
  /** Queues run again, over private rings. */
  readonly onRelayed: () => void;
}

interface Entry extends StrandedHalves {
  readonly end: EndSwitch;
}

/** Milliseconds until the next attempt, or what came of this one. */
type Outcome = number | "over" | "relayed" | "reset";

/**
 * Queues that the PF has stopped, or not run again, behind the back of a guest that runs them. They are run
 * again, a few times and ever more patiently, as long as nothing else takes over: a stop, another
 * configuration, a reset. Where the PF does not help, the VF is reset and the guest told as by its PF, so that
 * its driver sets everything up anew.
 */
export class Stranded {
  readonly #options: StrandedParts;
  readonly #entries = new Map<number, Entry>();
  #timer: Timer | undefined;
  #busy = false;
  #attempts = 0;
  #resets = 0;
  #doing: StrandedDoing = "nothing";
  #lost = false;
  #closed = false;

  constructor(options: StrandedParts) {
    this.#options = options;
  }

  get status(): StrandedStatus {
    const current = this.#current();
    return {
      queues: current.map(({ pair, halves }) => ({ queue: pair.queue, ...halves })),
      doing: current.length === 0 && !this.#busy ? "nothing" : this.#doing,
      attempts: this.#attempts,
      resets: this.#resets,
    };
  }

  /** Tx queues, by bit, that nobody may give anything to. */
  get txQueues(): number {
    return this.#current().reduce(
      (all, { pair, halves }) => all | (halves.tx ? 1 << pair.queue : 0),
      0,
    );
  }

  /** Halves of the pair stand still. */
  has(pair: QueuePair): boolean {
    return this.#entries.get(pair.queue)?.pair === pair;
  }

  /**
   * Runs a pair again in the turn of whoever needs it now, with halves that have run so far.
   *
   * @throws VfmigError as {@link runAgain}; there will be other attempts
   */
  async runNow(pair: QueuePair, halves: Halves): Promise<void> {
    const parts = this.#options.parts();
    const entry = this.#add(pair, halves);
    await this.#run([entry], parts.context.options.pfTimeoutMs);
  }

  /** False where nothing may run now. */
  async #run(entries: readonly Entry[], patienceMs: number): Promise<boolean> {
    const also = (pair: QueuePair, halves: Halves): StrandedHalves => this.#add(pair, halves);
    const found = await runAgain(this.#options.parts(), entries, also, patienceMs);
    if (found === "stopping") {
      return false;
    }
    found.forEach(({ pair, halves }) => this.runs(pair, halves));
    return true;
  }

  /** The PF has stopped these queues after whoever asked for it had given up. */
  stoppedLate(bits: QueueBits): void {
    const { queues, context, session } = this.#options.parts();
    const pairs = queues.pairs.filter(({ queue }) => any(halvesOf(queue, bits)));
    if (pairs.length === 0 || session.phase === "stopped") {
      return;
    }
    context.logger.warn("the PF stopped queues late; they are started again", { ...bits });
    for (const pair of pairs) {
      this.#add(pair, halvesOf(pair.queue, bits));
    }
    this.#plan(0);
  }

  /** The PF did not run these halves again; the guest is at `place`. */
  strand(pair: QueuePair, halves: Halves, place: PairPlace, cause: string): void {
    const parts = this.#options.parts();
    if (isCurrent(parts, pair)) {
      parts.context.logger.error("a queue pair stands still: the PF does not run it again", {
        queue: pair.queue,
        cause,
      });
      this.#add(pair, halves, place);
      this.#plan(PAUSE_MS);
    }
  }

  #add(pair: QueuePair, more: Halves, place?: PairPlace): Entry {
    const { family } = this.#options.parts();
    // Where halves cannot be configured apart, the other one would be written while it runs.
    const halves = family.halvesApart ? more : { tx: true, rx: true };
    const known = this.#entries.get(pair.queue);
    if (known?.pair === pair) {
      known.halves = { tx: known.halves.tx || halves.tx, rx: known.halves.rx || halves.rx };
      // Who says so has taken the pair's place anew.
      return place === undefined
        ? known
        : Object.assign(known, strandedHalves(pair, known.halves, place));
    }
    this.#drop(pair.queue, "failed");
    const end = this.#options.log.begin(pair.queue, "enter");
    const entry = { ...strandedHalves(pair, halves, place), end };
    this.#entries.set(pair.queue, entry);
    return entry;
  }

  /** Halves run again, by whoever it was. */
  runs(pair: QueuePair, { tx, rx }: Halves): void {
    const entry = this.#entries.get(pair.queue);
    if (entry?.pair === pair) {
      entry.halves = { tx: entry.halves.tx && !tx, rx: entry.halves.rx && !rx };
      if (!any(entry.halves)) {
        this.#drop(pair.queue, "done");
      }
    }
  }

  /** The device is stopped on purpose, or was reset: there is nothing to run again. */
  clear(): void {
    for (const queue of this.#entries.keys()) {
      this.#drop(queue, "failed");
    }
  }

  #drop(queue: number, outcome: "done" | "failed"): void {
    this.#entries.get(queue)?.end(outcome);
    this.#entries.delete(queue);
  }

  dispose(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.clear();
  }

  /** Entries of pairs that are still there. */
  #current(): Entry[] {
    const parts = this.#options.parts();
    return [...this.#entries.values()].filter(({ pair }) => isCurrent(parts, pair));
  }

  #plan(ms: number): void {
    if (!this.#busy && !this.#closed) {
      this.#timer?.cancel();
      const { clock } = this.#options.parts().context;
      this.#timer = clock.after(ms, () => {
        this.#timer = undefined;
        void this.#rescue();
      });
    }
  }

  async #rescue(): Promise<void> {
    this.#busy = true;
    this.#doing = "running them again";
    this.#lost = false;
    const next = await this.#options.exclusively(() => this.#attempt());
    if (next === "reset" && !this.#closed) {
      this.#doing = "resetting";
      await this.#reset();
    }
    this.#busy = false;
    this.#doing = this.#lost ? "lost" : this.#doing;
    if (next === "relayed") {
      this.#options.onRelayed();
    }
    if (typeof next === "number") {
      this.#plan(next);
    } else if (this.#entries.size > 0 && !this.#lost) {
      this.#plan(PAUSE_MS);
    }
  }

  async #attempt(): Promise<Outcome> {
    const parts = this.#options.parts();
    const current = this.#current();
    const stale = [...this.#entries.keys()].filter(
      (queue) => !current.some((it) => it.pair.queue === queue),
    );
    stale.forEach((queue) => this.#drop(queue, "failed"));
    if (current.length === 0 || this.#closed) {
      this.#attempts = 0;
      return "over";
    }
    if (parts.session.phase !== "running") {
      return LOOK_MS;
    }
    const patience = parts.context.options.pfTimeoutMs * 2 ** this.#attempts;
    try {
      if (!(await this.#run(current, patience))) {
        return LOOK_MS;
      }
      this.#attempts = 0;
      return "relayed";
    } catch (error) {
      return this.#failed(error);
    }
  }

  #failed(error: unknown): Outcome {
    const { context, session } = this.#options.parts();
    const cause = String(error);
    if (this.#closed || this.#current().length === 0) {
      return "over";
    }
    if (session.phase !== "running") {
      return LOOK_MS;
    }
    this.#attempts++;
    if (this.#attempts < ATTEMPTS) {
      context.logger.warn("queues still stand still; the PF is asked again", { cause });
      return PAUSE_MS * 2 ** this.#attempts;
    }
    context.logger.error("the PF does not run the guest's queues again; the VF is reset", {
      cause,
    });
    return "reset";
  }

  async #reset(): Promise<void> {
    const parts = this.#options.parts();
    this.#attempts = 0;
    this.#resets++;
    try {
      await resetUnderGuest(parts);
      this.clear();
    } catch (error) {
      this.#lost = true;
      parts.context.logger.error("the VF could not be reset; its guest has to be started anew", {
        cause: String(error),
      });
    }
  }
}
