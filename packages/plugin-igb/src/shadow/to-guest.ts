import type { Parts } from "../parts.ts";
import type { Switching } from "./switching.ts";
import { untrapPages } from "./trap.ts";

/** The guest has the device to itself from here on, as it programmed it; queues that are on go on where it is. */
export function toGuest(parts: Parts, switching: Switching): void {
  const { tx, rx, vectors } = parts;
  for (const queue of [rx, tx]) if (!queue.enabled) queue.offer();
  vectors.giveBack();
  rx.handOver();
  tx.handOver();
  switching.mode = "direct";
  untrapPages(parts);
}
