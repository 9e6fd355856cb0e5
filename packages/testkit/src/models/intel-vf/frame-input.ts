import type { DeviceInput } from "@vfmig/core";
import type { FrameVerdict, WirePort } from "../../wire/port.ts";

/** Frames on their way from a wire to a model: what a recording keeps, and a replay gives in its place. */
export class FrameInput implements DeviceInput {
  readonly #receive: (frame: Uint8Array) => FrameVerdict;
  #onInput: (frame: Uint8Array) => void = () => {};
  #taken = false;

  constructor(port: WirePort, receive: (frame: Uint8Array) => FrameVerdict) {
    this.#receive = receive;
    // A wire that is cut off finds a function that takes nothing.
    port.attach((frame) => (this.#taken ? "queue-disabled" : this.#give(frame)));
  }

  listen(onInput: (frame: Uint8Array) => void): void {
    this.#onInput = onInput;
  }

  take(): (frame: Uint8Array) => void {
    this.#taken = true;
    return (frame) => void this.#give(frame);
  }

  #give(frame: Uint8Array): FrameVerdict {
    this.#onInput(frame);
    return this.#receive(frame);
  }
}
