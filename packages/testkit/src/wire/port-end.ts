import type { Clock } from "@vfmig/core";
import type { FrameVerdict, WirePort } from "./port.ts";

/** Where a port's end of the wire sends what it has to say. */
export interface PortUplink {
  frame(frame: Uint8Array): void;
  /** Of every frame that was not accepted, and of the first accepted one after such or after connect. */
  verdict(id: number, verdict: FrameVerdict, timeMs: number): void;
  pause?(on: boolean): void;
  close(): void;
}

/**
 * The device's side of a wire, apart from how its messages travel. It judges nothing by itself: the
 * device says what became of a frame, and where no device stands the function is disabled.
 */
export class PortEnd implements WirePort {
  readonly #uplink: PortUplink;
  readonly #clock: Clock;
  #receive: ((frame: Uint8Array) => FrameVerdict) | undefined;
  #tellAccepted = true;
  #closed = false;

  constructor(uplink: PortUplink, clock: Clock) {
    this.#uplink = uplink;
    this.#clock = clock;
  }

  transmit(frame: Uint8Array): void {
    if (!this.#closed) this.#uplink.frame(frame);
  }

  attach(receive: (frame: Uint8Array) => FrameVerdict): void {
    this.#receive = receive;
  }

  pause(on: boolean): void {
    if (!this.#closed) this.#uplink.pause?.(on);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#receive = undefined;
    this.#uplink.close();
  }

  /** The wire has connected this port: the first frame that the device takes is worth telling. */
  connected(): void {
    this.#tellAccepted = true;
  }

  /** Frame `id` arrives from the wire. */
  deliver(id: number, frame: Uint8Array): FrameVerdict {
    const verdict = this.#receive?.(frame) ?? "queue-disabled";
    const accepted = verdict === "accepted";
    if (!accepted || this.#tellAccepted) this.#uplink.verdict(id, verdict, this.#clock.now());
    this.#tellAccepted = !accepted;
    return verdict;
  }
}
