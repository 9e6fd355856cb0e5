import { vfError } from "../errors.ts";
import type { Halves } from "../queues/halves.ts";
import type { QueuePair } from "../queues/queue-pair.ts";
import {
  enabledHalves,
  isCurrent,
  type PairParts,
  runHalves,
  stopHalves,
} from "./pair-requests.ts";

/** Where the guest stands in the two rings of a pair whose device queues stand still. */
export interface PairPlace {
  /** The next slot to be finished. */
  readonly tx: number;
  readonly rx: number;
  /** The guest may hold the beginning of a frame whose rest will never come. */
  readonly half: boolean;
}

/** A PF that has just run these queues is asked so often to run them again. */
const ATTEMPTS = 3;

/**
 * Lets halves that stand still go on over private rings, with the guest at `place`.
 *
 * @throws VfmigError `ERR_VFMIG_PF_SILENT`, `ERR_VFMIG_PF_REFUSED` where the PF does not run them again;
 *   they stand still then, and `ERR_VFMIG_VF_POSITION` where the VF was reset meanwhile
 */
export async function relayFrom(
  parts: PairParts,
  pair: QueuePair,
  halves: Halves,
  place: PairPlace,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- one attempt after the other
      await runHalves(parts, [{ pair, halves, config: pair.privateConfig }]);
      break;
    } catch (error) {
      refuseGone(parts, pair);
      if (attempt === ATTEMPTS) {
        throw error;
      }
      parts.context.logger.warn("the PF did not run a pair on private rings; it is asked again", {
        queue: pair.queue,
        cause: String(error),
      });
      // One of two requests may have been granted.
      // oxlint-disable-next-line no-await-in-loop -- one attempt after the other
      await stopHalves(parts, pair, halves);
    }
  }
  refuseGone(parts, pair);
  startRelay(parts, pair, halves, place);
}

/** @throws VfmigError `ERR_VFMIG_VF_POSITION` where the pair is no longer its guest's */
export function refuseGone(parts: PairParts, pair: QueuePair): void {
  if (!isCurrent(parts, pair)) {
    throw vfError(
      parts.family,
      "ERR_VFMIG_VF_POSITION",
      `queue pair ${pair.queue} was reset or configured anew while it changed rings`,
      { queue: pair.queue },
    );
  }
}

/** The device is at slot 0 of empty private rings: the relay goes on where the guest is. */
export function startRelay(
  parts: PairParts,
  pair: QueuePair,
  halves: Halves,
  place: PairPlace,
): void {
  const { queues, vectors } = parts;
  const enabled = enabledHalves(parts, pair);
  queues.setMode(pair, halves, "relay");
  vectors.refresh();
  vectors.armAll();
  if (halves.tx && enabled.tx) {
    pair.tx.start({ complete: place.tx, tail: place.tx });
    pair.tx.kick(queues.tails.tx(pair.queue));
  }
  if (halves.rx && enabled.rx) {
    pair.rx.start({ complete: place.rx, tail: place.rx });
    if (place.half) {
      pair.rx.discard(1);
    }
    pair.rx.kick(queues.tails.rx(pair.queue));
  }
}
