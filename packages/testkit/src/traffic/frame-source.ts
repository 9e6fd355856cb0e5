import type { SentFlow } from "./accounting.ts";
import { MAX_FRAME } from "./ethernet.ts";
import { markFrame, MAX_SEQUENCE, type MarkedFrame } from "./trailer.ts";
import type { PlannedFrame } from "./traffic-plan.ts";
import { VfmigError } from "@vfmig/core";

/**
 * Plays one side of a plan in a loop, each frame marked with its flow's next sequence number. A frame
 * counts as sent once it was taken, so a full ring offers the same frame again.
 */
export class FrameSource {
  readonly #frames: readonly MarkedFrame[];
  readonly #next = new Map<number, number>();
  #position = 0;
  #taken = 0;

  /**
   * @param longest bytes of a frame at most, see {@link TrafficPlan.longest}
   * @throws VfmigError `ERR_VFMIG_TRAFFIC_FRAME` for an empty list or a frame too long to mark
   */
  constructor(frames: readonly PlannedFrame[], longest: number = MAX_FRAME) {
    if (frames.length === 0) {
      throw new VfmigError("ERR_VFMIG_TRAFFIC_FRAME", "a frame source needs at least one frame", {
        layer: "testkit",
      });
    }
    this.#frames = frames.map(({ bytes, flow }) => markFrame(bytes, flow, longest));
    for (const { flow } of frames) this.#next.set(flow, 0);
  }

  /** Frames of one loop. */
  get loopLength(): number {
    return this.#frames.length;
  }

  /** Frames taken so far. */
  get taken(): number {
    return this.#taken;
  }

  get flows(): Iterable<number> {
    return this.#next.keys();
  }

  /** Flow of the frame that {@link peek} gives. */
  get flow(): number {
    return this.#current().flow;
  }

  /** Sequence number of the frame that {@link peek} gives. */
  get sequence(): number {
    return this.#next.get(this.flow) ?? 0;
  }

  /**
   * The next frame with its trailer; valid until {@link take}.
   * @throws VfmigError `ERR_VFMIG_TRAFFIC_FRAME` after 2^32 frames of one flow
   */
  peek(): Uint8Array {
    const sequence = this.sequence;
    if (sequence > MAX_SEQUENCE) {
      throw new VfmigError(
        "ERR_VFMIG_TRAFFIC_FRAME",
        `flow ${this.flow} has used all ${MAX_SEQUENCE + 1} sequence numbers; start a new run`,
        { layer: "testkit", details: { flow: this.flow } },
      );
    }
    return this.#current().stamp(sequence);
  }

  /** The frame that {@link peek} gave was sent: goes on to the next one. */
  take(): void {
    this.#next.set(this.flow, this.sequence + 1);
    this.#position = (this.#position + 1) % this.#frames.length;
    this.#taken++;
  }

  /** What was sent, flow by flow. */
  sent(): SentFlow[] {
    return [...this.#next].map(([flow, sent]) => ({ flow, sent }));
  }

  #current(): MarkedFrame {
    const frame = this.#frames[this.#position];
    if (frame === undefined) throw new RangeError("position outside the frames");
    return frame;
  }
}
