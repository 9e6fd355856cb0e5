import type { StopDrops, StopKind, StopWindow } from "../traffic/accounting.ts";
import { SequenceRanges } from "../traffic/sequence-ranges.ts";
import type { LinkVerdict } from "./link.ts";
import type { FrameVerdict } from "./port.ts";

/** Frames of one port whose fate is still open, at most. */
const OUTSTANDING = 65_536;
/** Drops that are kept one by one; a run with more has lost its point. */
const MAX_DROPS = 1_000_000;

/** Frame numbers are 32 bits wide on the socket and start again after 2^32. */
const ID_MASK = 0xffff_ffff;

/**
 * What was sent to one port and is not yet known to be handled: a ring by frame number. A pong says
 * that everything before its ping was handled.
 */
export class OutstandingFrames {
  readonly #flows = new Uint16Array(OUTSTANDING);
  readonly #sequences = new Uint32Array(OUTSTANDING);
  readonly #sentMs = new Float64Array(OUTSTANDING);
  #next = 0;
  #handled = 0;

  /** Number of the next frame. */
  get next(): number {
    return this.#next;
  }

  /** Frames whose fate is open. */
  get count(): number {
    return this.#next - this.#handled;
  }

  /** True where the port is so far behind that its frames can no longer be told apart. */
  get full(): boolean {
    return this.count >= OUTSTANDING;
  }

  /** Notes a frame under number {@link next}, and gives that number as it goes over the socket. */
  add(flow: number, sequence: number, sentMs: number): number {
    const slot = this.#next % OUTSTANDING;
    this.#flows[slot] = flow;
    this.#sequences[slot] = sequence;
    this.#sentMs[slot] = sentMs;
    this.#next++;
    return (this.#next - 1) & ID_MASK;
  }

  /** All frames before number `next` have been handled. */
  handledUpTo(next: number): void {
    this.#handled = Math.max(this.#handled, Math.min(next, this.#next));
  }

  /** The frame with the 32-bit number `id`, or undefined where none such is outstanding. */
  find(id: number): { flow: number; sequence: number; sentMs: number } | undefined {
    const ahead = (id - (this.#handled & ID_MASK)) >>> 0;
    if (ahead >= this.#next - this.#handled) return undefined;
    const slot = (this.#handled + ahead) % OUTSTANDING;
    return {
      flow: this.#flows[slot] ?? 0,
      sequence: this.#sequences[slot] ?? 0,
      sentMs: this.#sentMs[slot] ?? 0,
    };
  }
}

interface Drop {
  readonly flow: number;
  readonly sequence: number;
  readonly verdict: LinkVerdict;
  /** From when it was on the wire until the device refused it. */
  readonly fromMs: number;
  readonly toMs: number;
}

/** In windows of which kind a verdict is no loss. */
const KINDS: Readonly<Partial<Record<LinkVerdict, readonly StopKind[]>>> = {
  "queue-disabled": ["blackout", "switch"],
  untold: ["blackout", "switch"],
  "no-descriptor": ["switch"],
};

export interface DropSummary {
  readonly drops: readonly StopDrops[];
  /** Frames per window, in the windows' order. */
  readonly perWindow: readonly number[];
  /** Frames that ports refused, by verdict, inside windows and outside. */
  readonly byVerdict: Readonly<Partial<Record<FrameVerdict, number>>>;
}

/** Frames that devices refused, and those of which nobody says whether they were. */
export class DropLog {
  readonly #drops: Drop[] = [];
  readonly #byVerdict: Partial<Record<FrameVerdict, number>> = {};

  #count = 0;

  /** Frames that devices are known to have refused. */
  get count(): number {
    return this.#count;
  }

  add(drop: Drop): void {
    if (drop.verdict !== "untold") {
      this.#count++;
      this.#byVerdict[drop.verdict] = (this.#byVerdict[drop.verdict] ?? 0) + 1;
    }
    if (this.#drops.length < MAX_DROPS) this.#drops.push(drop);
  }

  /**
   * A drop belongs to the first window where a stopped queue caused it, and the frame was on the wire or
   * refused within the window: a stopped device may come to its last frames late. A frame whose fate is
   * untold may have been refused. A queue that changes its rings runs for a moment before it has the
   * guest's buffers, so that it may lack descriptors there.
   */
  summary(windows: readonly StopWindow[]): DropSummary {
    const flows = {
      blackout: new Map<number, SequenceRanges>(),
      switch: new Map<number, SequenceRanges>(),
    } satisfies Record<StopKind, Map<number, SequenceRanges>>;
    const perWindow = windows.map(() => 0);
    for (const drop of this.#drops) {
      const kinds = KINDS[drop.verdict];
      if (kinds === undefined) continue;
      const at = windows.findIndex(
        ({ kind, fromMs, toMs }) =>
          kinds.includes(kind) && drop.fromMs <= toMs && drop.toMs >= fromMs,
      );
      const window = windows[at];
      if (window === undefined) continue;
      perWindow[at] = (perWindow[at] ?? 0) + 1;
      const ranges = flows[window.kind].get(drop.flow) ?? new SequenceRanges();
      flows[window.kind].set(drop.flow, ranges);
      ranges.add(drop.sequence);
    }
    const drops = (["blackout", "switch"] as const).flatMap((kind) =>
      Array.from(flows[kind], ([flow, ranges]) => ({ kind, flow, ranges: ranges.ranges() })),
    );
    return { drops, perWindow, byVerdict: { ...this.#byVerdict } };
  }
}
