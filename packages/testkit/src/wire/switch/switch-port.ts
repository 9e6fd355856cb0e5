import { connect, type Socket } from "node:net";
import { type Clock, type Logger, silentLogger, systemClock, type Timer } from "@vfmig/core";
import { MessageStream } from "../message-stream.ts";
import {
  helloMessage,
  MAX_WIRE_FRAME,
  MESSAGE_HEADER,
  newMessage,
  protocolError,
  tokenMessage,
  viewOf,
  WIRE_MESSAGE,
} from "../messages.ts";
import type { CountingPort } from "../packet-port.ts";
import type { FrameVerdict } from "../port.ts";
import { createWireCounters, MIN_WIRE_FRAME, type WireCounters } from "../wire-counters.ts";

/** Bytes that may wait for a switch that does not read; frames beyond are dropped. */
const MAX_BACKLOG = 4 * 1024 * 1024;
/** How long after a failed or ended connection the next one is tried, in milliseconds. */
const RETRY_MS = 250;
/** How long a switch may take to read what a port has sent before it was closed, in milliseconds. */
const LINGER_MS = 2000;

export interface SwitchPortOptions {
  /** The switch's socket; see {@link listenSwitch}. */
  readonly path: string;
  readonly clock?: Clock;
  readonly logger?: Logger;
}

/**
 * Joins the switch at a unix socket, now or as soon as it is there, and again where it was restarted.
 * Frames that the device sends meanwhile are dropped and counted as `absent`.
 */
export function joinSwitch(options: SwitchPortOptions): CountingPort {
  return new JoinedPort(options);
}

class JoinedPort implements CountingPort {
  readonly counters: WireCounters = createWireCounters();
  readonly #path: string;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #socket: Socket | undefined;
  #joined = false;
  #retry: Timer | undefined;
  #receive: ((frame: Uint8Array) => FrameVerdict) | undefined;
  #closed = false;
  #toldAbsent = false;

  constructor(options: SwitchPortOptions) {
    this.#path = options.path;
    this.#clock = options.clock ?? systemClock;
    this.#logger = options.logger ?? silentLogger;
    this.#connect();
  }

  attach(receive: (frame: Uint8Array) => FrameVerdict): void {
    this.#receive = receive;
  }

  transmit(frame: Uint8Array): void {
    if (this.#closed || !this.#fits(frame.length)) return;
    const socket = this.#socket;
    if (socket === undefined || !this.#joined) {
      this.counters.absent++;
    } else if (socket.writableLength > MAX_BACKLOG) {
      this.counters.full++;
    } else {
      const message = newMessage(WIRE_MESSAGE.FROM_PORT, frame.length);
      message.set(frame, MESSAGE_HEADER);
      socket.write(message);
      this.counters.sent++;
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#receive = undefined;
    this.#retry?.cancel();
    this.#leave();
    this.#logger.info(`wire switch ${this.#path} is closed`, { ...this.counters });
  }

  /**
   * What was sent is on the wire: it must reach a switch that has not read it yet. A socket that is closed
   * over unread frames is reset when the switch writes to it, and what the switch had not read is lost.
   */
  #leave(): void {
    const socket = this.#socket;
    if (socket === undefined || !this.#joined) {
      socket?.destroy();
      return;
    }
    socket.end();
    const limit = this.#clock.after(LINGER_MS, () => socket.destroy());
    socket.once("close", () => limit.cancel());
  }

  #fits(length: number): boolean {
    if (length < MIN_WIRE_FRAME) this.counters.runts++;
    else if (length > MAX_WIRE_FRAME) this.counters.oversize++;
    else return true;
    return false;
  }

  #connect(): void {
    const socket = connect(this.#path);
    this.#socket = socket;
    const stream = new MessageStream((type, payload) => this.#message(socket, type, payload));
    socket.on("connect", () => {
      this.#joined = true;
      this.#toldAbsent = false;
      this.#logger.info(`joined the switch at ${this.#path}`);
      socket.write(helloMessage());
    });
    socket.on("data", (chunk) => {
      try {
        stream.push(chunk);
      } catch (error) {
        socket.destroy();
        this.#logger.warn("the switch broke its protocol", { error: String(error) });
      }
    });
    // Nobody is there, or no more; `close` follows and says all there is to say.
    socket.on("error", () => undefined);
    socket.on("close", () => this.#ended());
  }

  #ended(): void {
    this.#joined = false;
    this.#socket = undefined;
    if (this.#closed) return;
    if (!this.#toldAbsent)
      this.#logger.info(`no switch at ${this.#path}; it is joined when it comes`);
    this.#toldAbsent = true;
    this.#retry = this.#clock.after(RETRY_MS, () => this.#connect());
  }

  #message(socket: Socket, type: number, payload: Uint8Array): void {
    if (this.#closed) return;
    if (type === WIRE_MESSAGE.TO_PORT) {
      const frame = payload.subarray(4);
      if (!this.#fits(frame.length)) return;
      this.counters.received++;
      this.#receive?.(frame);
    } else if (type === WIRE_MESSAGE.PING) {
      socket.write(tokenMessage(WIRE_MESSAGE.PONG, viewOf(payload).getUint32(0, true)));
    } else if (type !== WIRE_MESSAGE.CONNECT) {
      throw protocolError(`a switch sent a message of type ${type}, which only ports send`, {
        type,
      });
    }
  }
}
