import { type Clock, type Timer, VfmigError } from "@vfmig/core";

export interface PacerOptions {
  readonly clock: Clock;
  /** Frames a second, above 0, at most 10 million. */
  readonly rate: number;
  /** Sends one frame; false where there is no room now, and it is offered again at the next turn. */
  readonly emit: () => boolean;
  /** Frames sent in one turn at most. Default 32, or 4 ms worth where that is more. */
  readonly burst?: number;
  /** Backlog in milliseconds that is made up for; what is older is forgiven. Default 100. */
  readonly backlogMs?: number;
}

/**
 * Emits evenly by deadlines: frame n is due at n / rate. A late turn catches up at no more than twice
 * the rate, so a pause of this process does not become a burst that no ring could hold.
 */
export class Pacer {
  readonly #clock: Clock;
  readonly #emit: () => boolean;
  readonly #perMs: number;
  readonly #burst: number;
  readonly #backlogMs: number;
  #timer: Timer | undefined;
  /** When the next frame is due. */
  #dueMs = 0;
  #lastTurnMs = 0;
  #running = false;
  #forgivenMs = 0;

  /** @throws VfmigError `ERR_VFMIG_TRAFFIC_RATE` */
  constructor(options: PacerOptions) {
    const { rate } = options;
    if (!(rate > 0 && rate <= 1e7)) {
      throw new VfmigError(
        "ERR_VFMIG_TRAFFIC_RATE",
        `a rate of ${rate} frames a second cannot be paced; give one above 0 and up to 10 million`,
        { layer: "testkit", details: { rate } },
      );
    }
    this.#clock = options.clock;
    this.#emit = options.emit;
    this.#perMs = rate / 1000;
    this.#burst = options.burst ?? Math.max(32, Math.ceil(4 * this.#perMs));
    this.#backlogMs = options.backlogMs ?? 100;
  }

  /** Milliseconds of schedule that were given up because this process or the ring stood still. */
  get forgivenMs(): number {
    return this.#forgivenMs;
  }

  get running(): boolean {
    return this.#running;
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#dueMs = this.#clock.now();
    this.#lastTurnMs = this.#dueMs;
    this.#turn();
  }

  stop(): void {
    this.#running = false;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #turn(): void {
    const now = this.#clock.now();
    if (now - this.#dueMs > this.#backlogMs) {
      this.#forgivenMs += now - this.#dueMs - this.#backlogMs;
      this.#dueMs = now - this.#backlogMs;
    }
    // Twice what the time since the last turn is worth, and one more so that a short turn moves too.
    const fair = Math.ceil(2 * (now - this.#lastTurnMs) * this.#perMs) + 1;
    const room = Math.min(fair, this.#burst);
    this.#lastTurnMs = now;
    for (let sent = 0; sent < room && this.#dueMs <= now && this.#running; sent++) {
      if (!this.#emit()) break;
      this.#dueMs += 1 / this.#perMs;
    }
    if (!this.#running) return;
    this.#timer = this.#clock.after(Math.max(1, this.#dueMs - now), () => this.#turn());
  }
}
