import { waitUntil } from "@vfmig/core/toolkit";
import type { Halves } from "../queues/halves.ts";
import type { QueuePair } from "../queues/queue-pair.ts";
import { goOn, passTails } from "./enter.ts";
import {
  any,
  both,
  enabledHalves,
  isCurrent,
  type PairParts,
  runHalves,
  stopHalves,
} from "./pair-requests.ts";
import { rxWay, txWayIsShort } from "./ready.ts";
import type { PairPlace } from "./relay-from.ts";
import type { SwitchLog } from "@vfmig/shadow-queue";
import { walkTx } from "./walk-tx.ts";

/** Milliseconds that a guest has for posting Rx buffers before its pair goes on without. */
const BUFFERS_MS = 250;

export interface LeaveOptions {
  readonly log: SwitchLog;
  /** Somebody waits for this switch to end. */
  readonly hurried: () => boolean;
}

/**
 * `unwalked`: the device did not take DUMMY descriptors. In all but `done` the relay goes on; after `stuck`
 * once the PF has stopped what it may have started on the guest's rings.
 */
export type LeaveResult = "done" | "refused" | "failed" | "unwalked" | "stuck";

/**
 * Gives halves of a pair back to the guest's own rings: stopped through the PF, configured on the
 * guest's rings, where the device begins at 0. Rx is brought to the ring's end before, Tx walks to the
 * guest's index afterwards.
 *
 * @throws VfmigError where the pair stands still and the PF does not run it again
 */
export async function leave(
  parts: PairParts,
  pair: QueuePair,
  halves: Halves,
  options: LeaveOptions,
): Promise<LeaveResult> {
  const enabled = both(halves, enabledHalves(parts, pair));
  const end = any(enabled) ? options.log.begin(pair.queue, "leave") : () => {};
  const release = parts.config.hold();
  try {
    hold(parts, pair, halves);
    try {
      if (any(enabled)) {
        await stopHalves(parts, pair, enabled);
      }
    } catch {
      end("refused");
      resume(parts, pair, halves);
      return "refused";
    }
    const result = await handOver(parts, pair, halves, enabled, options.hurried);
    if (result === "done") {
      parts.shadow.stranded.runs(pair, halves);
    } else if (result === "stuck") {
      // Tails must not be touched before it has stopped.
      parts.shadow.stranded.strand(pair, halves, relayPlace(pair), "it has not stopped");
    } else if (isCurrent(parts, pair)) {
      await goOn(parts, pair, halves, relayPlace(pair));
    }
    end(result === "done" ? "done" : "failed");
    return result;
  } finally {
    end("failed");
    release();
  }
}

function hold({ queues }: PairParts, pair: QueuePair, halves: Halves): void {
  queues.setMode(pair, halves, "held");
  if (halves.tx) {
    pair.tx.pause();
  }
  if (halves.rx) {
    pair.rx.pause();
  }
}

/** The device never stopped: the relay goes on where it was. */
function resume(parts: PairParts, pair: QueuePair, halves: Halves): void {
  if (!isCurrent(parts, pair)) {
    return;
  }
  const { queues } = parts;
  const enabled = both(halves, enabledHalves(parts, pair));
  queues.setMode(pair, halves, "relay");
  if (enabled.tx) {
    pair.tx.resume();
    pair.tx.kick(queues.tails.tx(pair.queue));
  }
  if (enabled.rx) {
    pair.rx.resume();
    pair.rx.kick(queues.tails.rx(pair.queue));
  }
}

function relayPlace(pair: QueuePair): PairPlace {
  return { tx: pair.tx.position.complete, rx: pair.rx.position.complete, half: false };
}

/** The halves stand still: the guest gets what is done, then the device the guest's rings. */
async function handOver(
  parts: PairParts,
  pair: QueuePair,
  halves: Halves,
  enabled: Halves,
  hurried: () => boolean,
): Promise<LeaveResult> {
  takeLast(parts, pair, enabled);
  const to = enabled.tx ? pair.tx.position.complete : 0;
  const way = enabled.rx ? rxWay(parts, pair) : 0;
  if (way < 0 || !txWayIsShort(parts, pair, to)) {
    return "failed";
  }
  if (enabled.rx) {
    pair.rx.start(pair.rx.position);
    pair.rx.pause();
    pair.rx.discard(way);
    if (pair.rx.position.complete !== 0) {
      return "failed";
    }
    // The guest takes what was discarded and posts again, while the PF does its part.
    parts.vectors.wake(0, 1 << pair.queue);
  }
  try {
    await runHalves(parts, [{ pair, halves, config: pair.config }]);
  } catch {
    // One of two requests may have been granted.
    return await stopAgain(parts, pair, enabled, "failed");
  }
  if (!isCurrent(parts, pair)) {
    return "failed";
  }
  // The guest may have gone on, up to the slots that the way needs.
  if (to > 0 && !txWayIsShort(parts, pair, to)) {
    return await stopAgain(parts, pair, enabled, "failed");
  }
  if (to > 0 && !(await walkTx(parts, pair, to))) {
    return await stopAgain(parts, pair, enabled, "unwalked");
  }
  await buffers(parts, pair, enabled, hurried);
  if (!isCurrent(parts, pair)) {
    return "failed";
  }
  // The device has begun at slot 0, as after a configuration.
  pair.half.tx.lapped = halves.tx ? false : pair.half.tx.lapped;
  pair.half.rx.lapped = halves.rx ? false : pair.half.rx.lapped;
  passTails(parts, pair, halves);
  parts.vectors.refresh();
  return "done";
}

/** Gives the guest time to post what the device needs at once; a guest that stands still does not. */
async function buffers(
  parts: PairParts,
  pair: QueuePair,
  enabled: Halves,
  hurried: () => boolean,
): Promise<void> {
  const { clock } = parts.context;
  const enough = (): boolean =>
    !enabled.rx || hurried() || parts.queues.tails.rx(pair.queue) >= pair.config.rx.length / 2;
  await waitUntil(clock, enough, BUFFERS_MS, new AbortController().signal);
}

/** What the device has finished reaches the guest; what the guest has posted meanwhile is known. */
function takeLast({ queues }: PairParts, pair: QueuePair, enabled: Halves): void {
  if (enabled.tx) {
    pair.tx.complete();
    pair.tx.kick(queues.tails.tx(pair.queue));
  }
  if (enabled.rx) {
    pair.rx.complete();
    pair.rx.markPosted();
    pair.rx.kick(queues.tails.rx(pair.queue));
  }
}

/** Stops what was started on the guest's rings; `stuck` where the PF does not say that it has. */
async function stopAgain(
  parts: PairParts,
  pair: QueuePair,
  enabled: Halves,
  result: LeaveResult,
): Promise<LeaveResult> {
  try {
    if (any(enabled)) {
      await stopHalves(parts, pair, enabled);
    }
    return result;
  } catch {
    return "stuck";
  }
}
