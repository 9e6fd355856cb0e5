import type { Clock, Timer } from "@vfmig/core";
import type { PcapFrame } from "../traffic/pcap.ts";
import type { FrameVerdict } from "./port.ts";

/** Frames played in one turn at most. */
const BURST = 256;
/** How often the first frame is offered to a device that does not take frames yet, in milliseconds. */
const OFFER_MS = 100;
/** Backlog that is made up for; what is older is forgiven. */
const BACKLOG_MS = 100;
/** Between the end of a capture and its next beginning, at its own pace. */
const LOOP_GAP_MS = 1;

export interface CapturePlayerOptions {
  readonly frames: readonly PcapFrame[];
  readonly loop: boolean;
  /** Frames a second; undefined for the capture's own times. */
  readonly rate: number | undefined;
  readonly clock: Clock;
  readonly play: (frame: Uint8Array) => FrameVerdict;
}

/**
 * Plays a capture by its own times or evenly. The first frame is offered until the device takes frames at
 * all, as a sender asks again until it is answered; from then on it goes on whatever the device does.
 */
export class CapturePlayer {
  readonly #options: CapturePlayerOptions;
  /** When each frame is due, in milliseconds after the first one. */
  readonly #dueMs: Float64Array;
  /** From one beginning to the next. */
  readonly #lengthMs: number;
  #next = 0;
  #startMs = 0;
  #timer: Timer | undefined;

  constructor(options: CapturePlayerOptions) {
    this.#options = options;
    const { frames, rate } = options;
    this.#dueMs = new Float64Array(frames.length);
    let latest = 0;
    for (const [index, { timeUs }] of frames.entries()) {
      // Clocks of captures step back; a player's cannot.
      latest = rate === undefined ? Math.max(latest, timeUs / 1000) : (index * 1000) / rate;
      this.#dueMs[index] = latest;
    }
    this.#lengthMs = latest + (rate === undefined ? LOOP_GAP_MS : 1000 / rate);
  }

  start(): void {
    if (this.#timer === undefined) this.#wait(0, () => this.#offer());
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #wait(delayMs: number, run: () => void): void {
    this.#timer = this.#options.clock.after(delayMs, run);
  }

  #offer(): void {
    const { frames, play, clock } = this.#options;
    const first = frames[0];
    if (first === undefined) return;
    this.#startMs = clock.now();
    // The device may stop this player while it takes the frame.
    this.#wait(OFFER_MS, () => this.#offer());
    const taken = play(first.bytes) !== "queue-disabled";
    if (!taken || this.#timer === undefined) return;
    this.#timer.cancel();
    this.#next = 1;
    this.#turn();
  }

  #turn(): void {
    const { frames, play, loop, clock } = this.#options;
    const now = clock.now();
    // Frees the turn of its own timer, so that `stop` in `play` is seen.
    this.#wait(1, () => this.#turn());
    for (let left = BURST; left > 0; left--) {
      if (this.#next === frames.length) {
        if (!loop) return this.stop();
        this.#next = 0;
        this.#startMs += this.#lengthMs;
      }
      const due = this.#startMs + (this.#dueMs[this.#next] ?? 0);
      if (now - due > BACKLOG_MS) this.#startMs += now - due - BACKLOG_MS;
      if (due > now) {
        this.#timer?.cancel();
        this.#wait(Math.max(1, due - now), () => this.#turn());
        return undefined;
      }
      const frame = frames[this.#next++];
      if (frame !== undefined) play(frame.bytes);
      if (this.#timer === undefined) return undefined;
    }
    return undefined;
  }
}
