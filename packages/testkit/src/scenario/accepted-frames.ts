import { VfmigError } from "@vfmig/core";
import type { AcceptedEvent } from "../wire/wire.ts";

/** How long a target may take to accept its first frame, in milliseconds. */
const LIMIT_MS = 10_000;

/** Waits for the first frame that a device accepts after it took over. */
export class AcceptedFrames {
  #events: AcceptedEvent[] = [];
  #wake: (() => void) | undefined;

  note(event: AcceptedEvent): void {
    this.#events.push(event);
    this.#wake?.();
  }

  /**
   * @param timeMs `CLOCK_MONOTONIC`, milliseconds; earlier events are forgotten
   * @returns when the frame was accepted, by the same clock
   * @throws VfmigError `ERR_VFMIG_TESTKIT_GUEST` if none is within ten seconds
   */
  async firstAfter(port: string, timeMs: number, signal: AbortSignal): Promise<number> {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(LIMIT_MS)]);
    for (;;) {
      this.#events = this.#events.filter((event) => event.timeMs >= timeMs);
      const found = this.#events.find((event) => event.port === port);
      if (found !== undefined) return found.timeMs;
      if (limit.aborted) throw silent(port, signal);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        limit.addEventListener("abort", () => resolve(), { once: true });
      });
    }
  }
}

function silent(port: string, signal: AbortSignal): Error {
  if (signal.aborted && signal.reason instanceof Error) return signal.reason;
  return new VfmigError(
    "ERR_VFMIG_TESTKIT_GUEST",
    `Device "${port}" accepted no frame within ${LIMIT_MS / 1000} s after it took over; either its announcement did not reach the wire or its receive queues have no buffers.`,
    { layer: "testkit", details: { port } },
  );
}
