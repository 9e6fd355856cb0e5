/** What became of a frame that the wire handed to a device; the wire's own account, never a plugin's. */
export type FrameVerdict =
  | "accepted"
  /** The receive queue or the whole function is stopped, or not configured. */
  | "queue-disabled"
  /** No posted descriptor. */
  | "no-descriptor"
  /** No filter of the function takes this frame. */
  | "filtered"
  /** Longer than the queue's configured maximum. */
  | "too-long"
  /** A posted buffer could not be written: outside mapped memory. */
  | "dma-fault";

/** The end of a wire at which a device model stands. */
export interface WirePort {
  /** Sends a frame (no FCS) to the wire. The bytes are copied before the call returns. */
  transmit(frame: Uint8Array): void;
  /** The device takes frames from now on; `receive` may not keep `frame`. */
  attach(receive: (frame: Uint8Array) => FrameVerdict): void;
  /** Asks the link partner to hold frames, or to go on (802.3x PAUSE). Absent on links without it. */
  pause?(on: boolean): void;
  close(): void;
}
