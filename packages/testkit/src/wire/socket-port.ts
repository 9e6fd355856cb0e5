import { chmodSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { type Clock, systemClock, VfmigError } from "@vfmig/core";
import { MessageStream } from "./message-stream.ts";
import {
  helloMessage,
  MAX_WIRE_FRAME,
  MESSAGE_HEADER,
  newMessage,
  tokenMessage,
  verdictNumber,
  viewOf,
  WIRE_MESSAGE,
} from "./messages.ts";
import { PortEnd, type PortUplink } from "./port-end.ts";
import type { FrameVerdict, WirePort } from "./port.ts";

/** Bytes that may wait for a wire that does not read; frames beyond are dropped, as by a full FIFO. */
const MAX_BACKLOG = 16 * 1024 * 1024;

/** A {@link WirePort} behind a unix socket. */
export interface SocketWirePort extends WirePort {
  /** Frames that were dropped because no wire was there or it did not read. */
  readonly dropped: number;
}

export interface SocketPortOptions {
  readonly clock?: Clock;
  /** Called when a peer broke the protocol; its connection is closed. */
  readonly onError?: (error: unknown) => void;
}

/**
 * Opens the device's end of a wire at the unix socket `path`; a wire connects to it later, one at a
 * time. Frames that come while no device is attached are reported as `queue-disabled`.
 * @throws VfmigError `ERR_VFMIG_WIRE_PORT` where the socket cannot be opened
 */
export async function listenWirePort(
  path: string,
  options: SocketPortOptions = {},
): Promise<SocketWirePort> {
  const port = new SocketPort(options);
  await port.listen(path);
  return port;
}

class SocketPort implements SocketWirePort, PortUplink {
  readonly #end: PortEnd;
  readonly #server: Server;
  readonly #onError: (error: unknown) => void;
  #socket: Socket | undefined;
  #dropped = 0;
  #path = "";

  constructor(options: SocketPortOptions) {
    this.#end = new PortEnd(this, options.clock ?? systemClock);
    this.#onError = options.onError ?? (() => undefined);
    this.#server = createServer((socket) => this.#join(socket));
  }

  async listen(path: string): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    this.#server.once("error", reject);
    this.#server.listen(path, () => resolve(undefined));
    try {
      await promise;
      this.#server.off("error", reject);
      this.#server.on("error", this.#onError);
      // A wire can put any frame into the device: only this user's processes may join.
      chmodSync(path, 0o600);
      this.#path = path;
    } catch (cause) {
      throw new VfmigError(
        "ERR_VFMIG_WIRE_PORT",
        `cannot listen for a wire at ${path}; remove a stale socket or choose another path`,
        { layer: "testkit", details: { path }, cause },
      );
    }
  }

  get dropped(): number {
    return this.#dropped;
  }

  transmit(frame: Uint8Array): void {
    this.#end.transmit(frame);
  }

  attach(receive: (frame: Uint8Array) => FrameVerdict): void {
    this.#end.attach(receive);
  }

  frame(frame: Uint8Array): void {
    const socket = this.#socket;
    const fits = frame.length <= MAX_WIRE_FRAME;
    if (socket === undefined || !fits || socket.writableLength > MAX_BACKLOG) {
      this.#dropped++;
      return;
    }
    const message = newMessage(WIRE_MESSAGE.FROM_PORT, frame.length);
    message.set(frame, MESSAGE_HEADER);
    socket.write(message);
  }

  verdict(id: number, verdict: FrameVerdict, timeMs: number): void {
    const message = newMessage(WIRE_MESSAGE.VERDICT, 13);
    const data = viewOf(message);
    data.setUint32(MESSAGE_HEADER, id, true);
    data.setUint8(MESSAGE_HEADER + 4, verdictNumber(verdict));
    data.setBigUint64(MESSAGE_HEADER + 5, BigInt(Math.round(timeMs * 1e6)), true);
    this.#socket?.write(message);
  }

  /** Goes to the wire as the device says it: the end has nothing to add. */
  pause(on: boolean): void {
    const message = newMessage(WIRE_MESSAGE.PAUSE, 1);
    viewOf(message).setUint8(MESSAGE_HEADER, on ? 1 : 0);
    this.#socket?.write(message);
  }

  close(): void {
    this.#end.close();
    this.#socket?.destroy();
    this.#server.close();
    if (this.#path !== "") rmSync(this.#path, { force: true });
  }

  #join(socket: Socket): void {
    if (this.#socket !== undefined) {
      // One wire at a time: a second one would mix its frames with the first one's.
      socket.destroy();
      return;
    }
    this.#socket = socket;
    const stream = new MessageStream((type, payload) => this.#message(socket, type, payload));
    socket.on("data", (chunk) => {
      try {
        stream.push(chunk);
      } catch (error) {
        socket.destroy();
        this.#onError(error);
      }
    });
    // A wire that is killed resets its connections; `close` follows and says all there is to say.
    socket.on("error", () => undefined);
    socket.on("close", () => {
      if (this.#socket === socket) this.#socket = undefined;
    });
    socket.write(helloMessage());
  }

  #message(socket: Socket, type: number, payload: Uint8Array): void {
    if (socket.destroyed) return;
    if (type === WIRE_MESSAGE.TO_PORT) {
      this.#end.deliver(viewOf(payload).getUint32(0, true), payload.subarray(4));
    } else if (type === WIRE_MESSAGE.PING) {
      socket.write(tokenMessage(WIRE_MESSAGE.PONG, viewOf(payload).getUint32(0, true)));
    } else if (type === WIRE_MESSAGE.CONNECT) {
      this.#end.connected();
    }
  }
}
