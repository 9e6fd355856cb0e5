import { MAX_FLOWS, readTrailer, type Trailer } from "./trailer.ts";
import { SequenceRanges } from "./sequence-ranges.ts";

export type ReceiveVerdict = "delivered" | "reordered" | "duplicated" | "corrupted" | "unmarked";

/** What came in of one flow; plain JSON. */
export interface FlowLedgerEntry {
  readonly flow: number;
  /** Frames that arrived at least once; `ranges` holds their sequence numbers. */
  readonly delivered: number;
  readonly duplicated: number;
  /** Arrived after a higher sequence number; they count as delivered too. */
  readonly reordered: number;
  /** Claimed this flow, but their check failed; not delivered. */
  readonly corrupted: number;
  /** Sequence numbers delivered, as [first, one past the last]. */
  readonly ranges: readonly (readonly [number, number])[];
}

export interface LedgerSnapshot {
  readonly flows: readonly FlowLedgerEntry[];
  /** Frames without trailer. */
  readonly unmarked: number;
  /** Corrupted frames whose flow is none of the known ones. */
  readonly corruptedElsewhere: number;
}

interface Entry {
  readonly seen: SequenceRanges;
  duplicated: number;
  reordered: number;
  corrupted: number;
}

/**
 * Keeps count of every marked frame that arrives. Memory follows the number of gaps and of known
 * flows, never what a frame claims.
 */
export class FlowLedger {
  readonly #flows = new Map<number, Entry>();
  readonly #trailer: Trailer = { flow: 0, sequence: 0, length: 0 };
  #unmarked = 0;
  #corruptedElsewhere = 0;

  /** @param flows numbers of the flows that may arrive */
  constructor(flows: Iterable<number>) {
    for (const flow of flows) {
      if (flow < 0 || flow >= MAX_FLOWS) continue;
      this.#flows.set(flow, {
        seen: new SequenceRanges(),
        duplicated: 0,
        reordered: 0,
        corrupted: 0,
      });
    }
  }

  /**
   * Counts a frame as it came, trailer included; keeps nothing of it.
   * @throws VfmigError `ERR_VFMIG_TRAFFIC_GAPS`
   */
  receive(frame: Uint8Array): ReceiveVerdict {
    const verdict = readTrailer(frame, this.#trailer);
    if (verdict === "unmarked") {
      this.#unmarked++;
      return "unmarked";
    }
    const entry = this.#flows.get(this.#trailer.flow);
    if (entry === undefined) {
      // A flow that nobody sends: whatever made it, it is not what was sent.
      this.#corruptedElsewhere++;
      return "corrupted";
    }
    if (verdict === "corrupted") {
      entry.corrupted++;
      return "corrupted";
    }
    const sequence = this.#trailer.sequence;
    const late = sequence < entry.seen.end;
    if (!entry.seen.add(sequence)) {
      entry.duplicated++;
      return "duplicated";
    }
    if (!late) return "delivered";
    entry.reordered++;
    return "reordered";
  }

  /** Frames that arrived at least once, of all flows. */
  get delivered(): number {
    let sum = 0;
    for (const entry of this.#flows.values()) sum += entry.seen.size;
    return sum;
  }

  /** Frames duplicated, reordered or corrupted so far, of all flows. */
  get faults(): number {
    let sum = this.#corruptedElsewhere;
    for (const entry of this.#flows.values()) {
      sum += entry.duplicated + entry.reordered + entry.corrupted;
    }
    return sum;
  }

  snapshot(): LedgerSnapshot {
    const flows = [...this.#flows].map(([flow, entry]) => ({
      flow,
      delivered: entry.seen.size,
      duplicated: entry.duplicated,
      reordered: entry.reordered,
      corrupted: entry.corrupted,
      ranges: entry.seen.ranges(),
    }));
    return { flows, unmarked: this.#unmarked, corruptedElsewhere: this.#corruptedElsewhere };
  }
}
