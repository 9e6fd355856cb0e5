import { waitUntil } from "@vfmig/core/toolkit";
import { silent } from "../migration/silent.ts";
import type { Parts } from "../parts.ts";
import { refuseDoubt } from "./doubt.ts";
import { PAIR, type Switching } from "./switching.ts";
import { trapPages, untrapPages } from "./trap.ts";

/**
 * Puts queues that run on the guest's own rings on private ones, wherever the guest is. Whether that can be
 * done is judged before anything is touched, and again when the guest cannot change it any more, so that a
 * refusal leaves all as it was. Heads are exact once a queue is off; what the guest was not told of is
 * looked for in its rings.
 *
 * @throws VfmigError `ERR_VFMIG_VF_FEATURE`, `ERR_VFMIG_VF_POSITION`, `ERR_VFMIG_MAPPING_CONFLICT`, `ERR_VFMIG_TRAP_TIMEOUT`
 */
export async function enter(
  parts: Parts,
  switching: Switching,
  signal: AbortSignal,
): Promise<void> {
  refuseDoubt(parts);
  await trapPages(parts, signal);
  takeVectors(parts);
  const { tx, rx, context } = parts;
  const held = { tx: tx.hold(), rx: rx.hold() };
  switching.mode = "held";
  try {
    if (held.tx !== undefined || held.rx !== undefined) {
      const { clock, options } = context;
      // Frames that the device has been given are best sent by it.
      const sent = (): boolean => tx.relay === undefined || tx.deviceHead === tx.deviceTail;
      await waitUntil(clock, sent, options.drainMs);
      await change(parts, switching, held);
    }
  } finally {
    switching.mode = "relay";
  }
}

/** @throws VfmigError `ERR_VFMIG_VF_FEATURE`, `ERR_VFMIG_VF_POSITION`; vectors and pages are the guest's then */
function takeVectors(parts: Parts): void {
  try {
    refuseDoubt(parts);
    parts.vectors.take(parts.context.options.doorbells === "trapped");
  } catch (error) {
    parts.vectors.close();
    untrapPages(parts);
    throw error;
  }
}

interface Held {
  readonly tx: ReturnType<Parts["tx"]["hold"]>;
  readonly rx: ReturnType<Parts["rx"]["hold"]>;
}

/** The window: from the queues' end on the guest's rings to their beginning on private ones. */
async function change(parts: Parts, switching: Switching, held: Held): Promise<void> {
  const { tx, rx, vectors, context } = parts;
  const end = switching.log.begin(PAIR, "enter");
  try {
    if (held.rx !== undefined) rx.silence();
    if (held.tx !== undefined) tx.silence();
    const shown = (): boolean => !tx.waits(held.tx) && !rx.waits(held.rx);
    if (!(await silent(parts, shown))) {
      context.logger.warn("the device's heads are ahead of its write-backs; frames may come twice");
    }
    // What the guest has switched off or reset meanwhile stays as it made it.
    if (tx.enabled || rx.enabled) vectors.program();
    rx.goFrom(held.rx);
    tx.goFrom(held.tx);
    vectors.raiseAll();
    end("done");
  } finally {
    end("failed");
  }
}
