import { waitUntil } from "@vfmig/core/toolkit";
import { silent } from "../migration/silent.ts";
import type { Parts } from "../parts.ts";
import { PAIR, type Switching } from "./switching.ts";
import { toGuest } from "./to-guest.ts";

/** `busy`: not now, frames are on their way; `refused`: the device did not take a head, and all is as before. */
export type Leaving = "done" | "busy" | "refused";

/**
 * Gives the device the guest's own rings again, at the guest's place in them. QEMU's igb takes heads other
 * than 0; nobody has shown that silicon does, so that they are read back.
 */
export async function leave(parts: Parts, switching: Switching): Promise<Leaving> {
  const { tx, rx, context } = parts;
  tx.relay?.pause();
  switching.mode = "held";
  const drained = await waitUntil(context.clock, () => tx.drained, context.options.drainMs);
  const off = !drained || switching.wanted || (rx.relay?.owed ?? 0) > 0;
  if (off) {
    switching.mode = "relay";
    tx.relay?.resume();
    return "busy";
  }
  return await change(parts, switching);
}

async function change(parts: Parts, switching: Switching): Promise<Leaving> {
  const { tx, rx, vectors, context } = parts;
  const end = switching.log.begin(PAIR, "leave");
  try {
    tx.silence();
    rx.silence();
    await silent(parts, () => rx.caughtUp);
    const offered = [tx.offer(), rx.offer()];
    if (offered.every(Boolean)) {
      toGuest(parts, switching);
      end("done");
      return "done";
    }
    switching.mode = "relay";
    if (tx.enabled || rx.enabled) vectors.program();
    rx.goOn();
    tx.goOn();
    vectors.raiseAll();
    end("failed");
    context.logger.warn(
      "the device does not begin in the middle of a ring; its queues stay relayed until the guest's driver starts them anew",
      { tx: tx.index, rx: rx.index },
    );
    return "refused";
  } finally {
    end("failed");
  }
}
