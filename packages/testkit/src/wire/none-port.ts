import type { CountingPort } from "./packet-port.ts";
import { createWireCounters } from "./wire-counters.ts";

/** A wire to nowhere: what the device sends is counted as `absent`, and nothing arrives. */
export function createNonePort(): CountingPort {
  const counters = createWireCounters();
  return {
    counters,
    transmit: () => void counters.absent++,
    attach: () => undefined,
    close: () => undefined,
  };
}
