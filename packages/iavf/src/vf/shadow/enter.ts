import { rxTail, txTail } from "../../registers.ts";
import { vfError } from "../errors.ts";
import { waitUntil } from "@vfmig/core/toolkit";
import type { Halves } from "../queues/halves.ts";
import type { QueuePair } from "../queues/queue-pair.ts";
import { inferRx, inferTx, type RingPlace, type RxPlace } from "./infer.ts";
import {
  any,
  askedHalves,
  both,
  enabledHalves,
  isCurrent,
  type PairParts,
  stopHalves,
} from "./pair-requests.ts";
import { type PairPlace, refuseGone, relayFrom } from "./relay-from.ts";
import type { EndSwitch, SwitchLog } from "@vfmig/shadow-queue";

export interface EnterOptions {
  readonly log: SwitchLog;
  readonly signal: AbortSignal;
}

/**
 * Puts a pair that runs on the guest's own rings on private ones, wherever the guest is. Its place is
 * judged before anything stops, so that a refusal leaves everything as it was; the guest's tails wait
 * from then on, so that what was judged is what the device has.
 *
 * @throws VfmigError `ERR_VFMIG_VF_POSITION` where the rings give no single answer,
 *   `ERR_VFMIG_PF_SILENT`, `ERR_VFMIG_PF_REFUSED`
 */
export async function enter(
  parts: PairParts,
  pair: QueuePair,
  options: EnterOptions,
): Promise<void> {
  const { queues, vectors, config } = parts;
  const halves = { tx: pair.half.tx.mode !== "relay", rx: pair.half.rx.mode !== "relay" };
  const running = both(halves, askedHalves(parts, pair));
  refuseDoubt(parts, pair);
  if (parts.shadow.stranded.has(pair)) {
    await parts.shadow.stranded.runNow(pair, halves);
    await finishHalf(parts, pair, options.signal);
    return;
  }
  const release = config.hold();
  const end = any(running) ? options.log.begin(pair.queue, "enter") : () => {};
  try {
    queues.setMode(pair, halves, "held");
    vectors.refresh();
    if (any(running)) {
      await stopOrGoOn(parts, pair, halves, running, options, end);
    }
    refuseGone(parts, pair);
    await goOn(parts, pair, halves, placeOf(parts, pair, halves));
    end("done");
  } catch (error) {
    end("failed");
    throw error;
  } finally {
    release();
  }
  await finishHalf(parts, pair, options.signal);
}

/** Stops the halves; where the PF does not, the guest's tails go to the device again. */
async function stopOrGoOn(
  parts: PairParts,
  pair: QueuePair,
  halves: Halves,
  running: Halves,
  options: EnterOptions,
  end: EndSwitch,
): Promise<void> {
  try {
    await stopHalves(parts, pair, running, { signal: options.signal });
  } catch (error) {
    end("refused");
    if (isCurrent(parts, pair)) {
      passTails(parts, pair, halves);
      parts.vectors.refresh();
    }
    throw error;
  }
}

/** The device gets the guest's tails, and from now on at once. */
export function passTails({ queues, registers }: PairParts, pair: QueuePair, halves: Halves): void {
  queues.setMode(pair, halves, "direct");
  if (halves.tx) {
    registers.write(txTail(pair.queue), queues.tails.tx(pair.queue));
  }
  if (halves.rx) {
    registers.write(rxTail(pair.queue), queues.tails.rx(pair.queue));
  }
}

/** As {@link relayFrom}; where it fails, there will be other attempts. */
export async function goOn(
  parts: PairParts,
  pair: QueuePair,
  halves: Halves,
  place: PairPlace,
): Promise<void> {
  try {
    await relayFrom(parts, pair, halves, place);
    parts.shadow.stranded.runs(pair, halves);
  } catch (error) {
    parts.shadow.stranded.strand(pair, halves, place, String(error));
    throw error;
  }
}

/** Where the guest is, of halves that have stopped; the relays know of those that they worked for. */
export function placeOf(parts: PairParts, pair: QueuePair, halves: Halves): PairPlace {
  const enabled = enabledHalves(parts, pair);
  const tx = halves.tx && enabled.tx ? txPlace(parts, pair) : undefined;
  const rx = halves.rx && enabled.rx ? rxPlace(parts, pair) : undefined;
  for (const [name, place] of [
    ["Tx", tx],
    ["Rx", rx],
  ] as const) {
    if (place?.doubt !== undefined) {
      parts.context.logger.warn(`the guest changed its ${name} ring behind our back`, {
        queue: pair.queue,
        doubt: place.doubt,
      });
    }
  }
  return {
    tx: tx?.slot ?? pair.tx.position.complete,
    rx: rx?.slot ?? pair.rx.position.complete,
    half: rx?.half ?? false,
  };
}

function txPlace({ context, queues }: PairParts, pair: QueuePair): RingPlace {
  const facts = { tail: queues.tails.tx(pair.queue), lapped: pair.half.tx.lapped };
  return inferTx(context.memory, pair.config.tx, facts);
}

function rxPlace({ context, queues }: PairParts, pair: QueuePair): RxPlace {
  const { tails } = queues;
  const { lapped } = pair.half.rx;
  const facts = { tail: tails.rx(pair.queue), rounded: tails.rxIsRounded(pair.queue), lapped };
  return inferRx(context.memory, pair.config.rx, facts);
}

/**
 * Judges whether a pair that runs on the guest's own rings could be put on private ones.
 *
 * @throws VfmigError `ERR_VFMIG_VF_POSITION` where its rings give no single answer
 */
export function refuseDoubt(parts: PairParts, pair: QueuePair): void {
  const direct = { tx: pair.half.tx.mode === "direct", rx: pair.half.rx.mode === "direct" };
  const running = both(direct, askedHalves(parts, pair));
  const tx = running.tx ? txPlace(parts, pair) : undefined;
  const rx = running.rx ? rxPlace(parts, pair) : undefined;
  const doubt = tx?.doubt ?? rx?.doubt;
  if (doubt === undefined) {
    return;
  }
  const name = tx?.doubt === undefined ? "Rx" : "Tx";
  throw vfError(
    parts.family,
    "ERR_VFMIG_VF_POSITION",
    `the guest's place in the ${name} ring of queue ${pair.queue} has no single answer: ${doubt}; it keeps its own rings (with the option shadow: "always" no place has to be inferred)`,
    { queue: pair.queue, ring: name, doubt },
  );
}

/** A frame that ends broken needs a slot, for which the guest may have to post one first. */
async function finishHalf(parts: PairParts, pair: QueuePair, signal: AbortSignal): Promise<void> {
  const { context } = parts;
  const done = (): boolean => pair.rx.owed === 0;
  if (!(await waitUntil(context.clock, done, context.options.pfTimeoutMs, signal))) {
    throw vfError(
      parts.family,
      "ERR_VFMIG_VF_POSITION",
      `the guest holds half a frame of Rx queue ${pair.queue} and posts no slot in which it could end`,
      { queue: pair.queue, ring: "Rx" },
    );
  }
}
