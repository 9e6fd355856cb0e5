import {
  checkHello,
  checkMessage,
  MAX_MESSAGE,
  protocolError,
  viewOf,
  WIRE_MESSAGE,
} from "./messages.ts";

/** Takes one checked message; `payload` is valid during the call only. */
export type MessageHandler = (type: number, payload: Uint8Array) => void;

/**
 * Cuts a byte stream into messages. Holds at most one message that is not yet whole; a length beyond
 * the protocol's longest is refused before anything is kept for it.
 */
export class MessageStream {
  readonly #handler: MessageHandler;
  readonly #partial = new Uint8Array(4 + MAX_MESSAGE);
  #held = 0;
  #greeted = false;

  constructor(handler: MessageHandler) {
    this.#handler = handler;
  }

  /** @throws VfmigError `ERR_VFMIG_WIRE_PROTOCOL`; the stream is unusable afterwards */
  push(chunk: Uint8Array): void {
    let at = 0;
    while (this.#held > 0 && at < chunk.length) {
      const wanted = this.#held < 4 ? 4 : 4 + lengthOf(this.#partial);
      const taken = Math.min(wanted - this.#held, chunk.length - at);
      this.#partial.set(chunk.subarray(at, at + taken), this.#held);
      this.#held += taken;
      at += taken;
      if (this.#held >= 4 && this.#held === 4 + lengthOf(this.#partial)) {
        const end = this.#held;
        this.#held = 0;
        this.#message(this.#partial.subarray(4, end));
      }
    }
    while (chunk.length - at >= 4) {
      const rest = chunk.subarray(at);
      const length = lengthOf(rest);
      if (rest.length < 4 + length) break;
      this.#message(rest.subarray(4, 4 + length));
      at += 4 + length;
    }
    if (at < chunk.length) {
      this.#partial.set(chunk.subarray(at));
      this.#held = chunk.length - at;
    }
  }

  #message(message: Uint8Array): void {
    const type = message[0] ?? 0;
    const payload = message.subarray(1);
    checkMessage(type, payload);
    const hello = type === WIRE_MESSAGE.HELLO;
    if (hello === this.#greeted) {
      throw protocolError(hello ? "a second HELLO" : "the first message is not HELLO");
    }
    if (hello) {
      checkHello(payload);
      this.#greeted = true;
      return;
    }
    this.#handler(type, payload);
  }
}

function lengthOf(bytes: Uint8Array): number {
  const length = viewOf(bytes).getUint32(0, true);
  if (length < 1 || length > MAX_MESSAGE) {
    throw protocolError(`a message claims ${length} bytes, ${MAX_MESSAGE} are allowed`, { length });
  }
  return length;
}
