import type { FrameVerdict } from "./port.ts";

/** What became of a frame, or `untold` where the port leads to a network that does not say. */
export type LinkVerdict = FrameVerdict | "untold";

/** What a wire hears from one of its ports. */
export interface LinkListener {
  /** The device sent a frame; it is valid during the call only. */
  frame(frame: Uint8Array): void;
  /** @param timeMs `CLOCK_MONOTONIC` in milliseconds, by the port's process */
  verdict(id: number, verdict: LinkVerdict, timeMs: number): void;
  pong(token: number): void;
  /** The port asks for frames to be held, or to go on. */
  paused(on: boolean): void;
  /** Nothing comes any more. `error` where the port broke the protocol. */
  closed(error?: unknown): void;
}

/** A wire's side of one port. */
export interface PortLink {
  listen(listener: LinkListener): void;
  /** Sends a frame, which is copied; false where the port has not taken what it got before. */
  send(id: number, frame: Uint8Array): boolean;
  ping(token: number): void;
  connect(): void;
  close(): void;
}
