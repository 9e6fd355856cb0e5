import type { Halves } from "../queues/halves.ts";
import type { QueuePair } from "../queues/queue-pair.ts";
import { placeOf } from "./enter.ts";
import {
  any,
  bitsOf,
  halvesOf,
  NO_HALF,
  type PairHalves,
  type PairParts,
  type QueueBits,
  runHalves,
  stopQueues,
} from "./pair-requests.ts";
import { type PairPlace, startRelay } from "./relay-from.ts";

/** Halves that stand still although their guest runs them. */
export interface StrandedHalves {
  readonly pair: QueuePair;
  halves: Halves;
  /** Of these the guest's place is known from its own ring only, once the device has stopped for certain. */
  infer: Halves;
  /** Where the guest is in the halves that are held. */
  place: PairPlace | undefined;
}

export function strandedHalves(pair: QueuePair, halves: Halves, place?: PairPlace): StrandedHalves {
  return { pair, halves, infer: NO_HALF, place };
}

/** The place in a ring of which nothing is known: its guest has just configured it. */
const BEGINNING: PairPlace = { tx: 0, rx: 0, half: false };

/**
 * Has the PF run stranded halves again, all at once, over private rings. Its answer to the first request,
 * which stops them, tells also that all that was asked before was done, whoever had asked: from then on
 * nobody but us changes these queues. Returns what runs again; `stopping` where nothing may, since the device
 * is being stopped.
 *
 * @param also - takes note of halves that were stopped with them: of pairs that their guest configured anew
 * @param timeoutMs - milliseconds that the PF has for each of two answers
 * @throws VfmigError `ERR_VFMIG_PF_SILENT`, `ERR_VFMIG_PF_REFUSED`, and those of {@link Doorbells.trap};
 *   they stand still then
 */
export async function runAgain(
  parts: PairParts,
  stranded: readonly StrandedHalves[],
  also: (pair: QueuePair, halves: Halves) => StrandedHalves,
  timeoutMs: number,
): Promise<readonly PairHalves[] | "stopping"> {
  const { mailbox, config, doorbells, session, vectors } = parts;
  await doorbells.trap();
  const releases = [mailbox.holdGuest(), config.hold()];
  try {
    for (const one of stranded) {
      holdStill(parts, one);
    }
    vectors.refresh();
    const bits = allBits(stranded);
    await stopQueues(parts, bits, { timeoutMs });
    const found = stillThere(parts, bits, (pair, halves) => {
      return stranded.find((one) => one.pair === pair) ?? also(pair, halves);
    });
    const jobs = found.map(({ pair, halves }) => ({ pair, halves, config: pair.privateConfig }));
    const places = found.map((one) => placeNow(parts, one));
    if (session.phase !== "running") {
      return "stopping";
    }
    if (jobs.length > 0) {
      // A stop that begins from here on goes after these requests, and so has the last word.
      await runHalves(parts, jobs, timeoutMs);
    }
    for (const [index, { pair, halves }] of jobs.entries()) {
      startRelay(parts, pair, halves, places[index] ?? BEGINNING);
    }
    return jobs;
  } finally {
    for (const release of releases) {
      release();
    }
  }
}

/** What the guest posts waits, whichever ring its device works on. */
function holdStill({ queues }: PairParts, one: StrandedHalves): void {
  const { pair, halves } = one;
  const direct = {
    tx: halves.tx && pair.half.tx.mode === "direct",
    rx: halves.rx && pair.half.rx.mode === "direct",
  };
  one.infer = { tx: one.infer.tx || direct.tx, rx: one.infer.rx || direct.rx };
  queues.setMode(pair, direct, "held");
  if (halves.tx) {
    pair.tx.pause();
  }
  if (halves.rx) {
    pair.rx.pause();
  }
}

function allBits(stranded: readonly StrandedHalves[]): QueueBits {
  let [txQueues, rxQueues] = [0, 0];
  for (const { pair, halves } of stranded) {
    const bits = bitsOf(pair.queue, halves);
    txQueues |= bits.txQueues;
    rxQueues |= bits.rxQueues;
  }
  return { txQueues, rxQueues };
}

/** What of the queues that were just stopped is there by now, held still. */
function stillThere(
  parts: PairParts,
  bits: QueueBits,
  known: (pair: QueuePair, halves: Halves) => StrandedHalves,
): StrandedHalves[] {
  return parts.queues.pairs.flatMap((pair) => {
    const halves = halvesOf(pair.queue, bits);
    if (!any(halves)) {
      return [];
    }
    const one = known(pair, halves);
    holdStill(parts, one);
    return [one];
  });
}

/** Where the guest is, now that the device has stopped; kept for another attempt. */
function placeNow(parts: PairParts, one: StrandedHalves): PairPlace {
  const { pair, place = BEGINNING } = one;
  const { tx, rx } = pair;
  tx.complete();
  rx.complete();
  rx.markPosted();
  const { infer } = one;
  const inferred = placeOf(parts, pair, infer);
  const relayed = { tx: pair.half.tx.mode === "relay", rx: pair.half.rx.mode === "relay" };
  // A half that was held keeps the place that it had then.
  const fromRing = { tx: infer.tx || relayed.tx, rx: infer.rx || relayed.rx };
  one.infer = NO_HALF;
  one.place = {
    tx: fromRing.tx ? inferred.tx : place.tx,
    rx: fromRing.rx ? inferred.rx : place.rx,
    half: infer.rx ? inferred.half : !relayed.rx && place.half,
  };
  return one.place;
}
