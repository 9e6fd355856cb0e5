import type { FrameVerdict, WirePort } from "../../../wire/port.ts";

/** A wire port in memory that keeps what the device sends. */
export class TestPort implements WirePort {
  readonly sent: Uint8Array[] = [];
  /** What the device asked its link partner, in order: true to hold frames. */
  readonly pauses: boolean[] = [];
  closed = false;
  #receive: ((frame: Uint8Array) => FrameVerdict) | undefined;

  transmit(frame: Uint8Array): void {
    this.sent.push(frame.slice());
  }

  attach(receive: (frame: Uint8Array) => FrameVerdict): void {
    this.#receive = receive;
  }

  pause(on: boolean): void {
    this.pauses.push(on);
  }

  close(): void {
    this.closed = true;
  }

  deliver(frame: Uint8Array): FrameVerdict {
    if (this.#receive === undefined) throw new Error("no device is attached");
    return this.#receive(frame);
  }
}
