import { connect as connectSocket, type Socket } from "node:net";
import { VfmigError } from "@vfmig/core";
import type { LinkListener, PortLink } from "./link.ts";
import { MessageStream } from "./message-stream.ts";
import {
  helloMessage,
  MESSAGE_HEADER,
  newMessage,
  protocolError,
  tokenMessage,
  verdictName,
  viewOf,
  WIRE_MESSAGE,
} from "./messages.ts";

/** Bytes that may wait for a port that does not read; frames beyond are lost, as in a full FIFO. */
const MAX_BACKLOG = 32 * 1024 * 1024;

/**
 * Joins the port that listens at the unix socket `path`.
 * @throws VfmigError `ERR_VFMIG_WIRE_PORT` where nothing listens there
 */
export async function connectWirePort(path: string): Promise<PortLink> {
  const socket = connectSocket(path);
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  socket.once("error", reject);
  socket.once("connect", () => resolve(undefined));
  try {
    await promise;
  } catch (cause) {
    throw new VfmigError(
      "ERR_VFMIG_WIRE_PORT",
      `no port listens at ${path}; start the device first`,
      { layer: "testkit", details: { path }, cause },
    );
  }
  socket.off("error", reject);
  return new SocketLink(socket);
}

class SocketLink implements PortLink {
  readonly #socket: Socket;
  #listener: LinkListener | undefined;
  #error: unknown;

  constructor(socket: Socket) {
    this.#socket = socket;
    const stream = new MessageStream((type, payload) => this.#message(type, payload));
    socket.pause();
    socket.on("data", (chunk) => {
      try {
        stream.push(chunk);
      } catch (error) {
        this.#error = error;
        socket.destroy();
      }
    });
    // A device process that dies resets the connection; `close` follows.
    socket.on("error", () => undefined);
    socket.on("close", () => this.#listener?.closed(this.#error));
    socket.write(helloMessage());
  }

  listen(listener: LinkListener): void {
    this.#listener = listener;
    this.#socket.resume();
  }

  send(id: number, frame: Uint8Array): boolean {
    if (this.#socket.destroyed || this.#socket.writableLength > MAX_BACKLOG) return false;
    const message = newMessage(WIRE_MESSAGE.TO_PORT, 4 + frame.length);
    viewOf(message).setUint32(MESSAGE_HEADER, id, true);
    message.set(frame, MESSAGE_HEADER + 4);
    this.#socket.write(message);
    return true;
  }

  ping(token: number): void {
    this.#write(tokenMessage(WIRE_MESSAGE.PING, token));
  }

  connect(): void {
    this.#write(newMessage(WIRE_MESSAGE.CONNECT, 0));
  }

  close(): void {
    this.#socket.destroy();
  }

  #write(message: Uint8Array): void {
    if (!this.#socket.destroyed) this.#socket.write(message);
  }

  #message(type: number, payload: Uint8Array): void {
    const data = viewOf(payload);
    if (type === WIRE_MESSAGE.FROM_PORT) {
      this.#listener?.frame(payload);
    } else if (type === WIRE_MESSAGE.VERDICT) {
      const timeMs = Number(data.getBigUint64(5, true)) / 1e6;
      this.#listener?.verdict(data.getUint32(0, true), verdictName(data.getUint8(4)), timeMs);
    } else if (type === WIRE_MESSAGE.PONG) {
      this.#listener?.pong(data.getUint32(0, true));
    } else if (type === WIRE_MESSAGE.PAUSE) {
      this.#listener?.paused(data.getUint8(0) !== 0);
    } else {
      throw protocolError(`a port sent a message of type ${type}, which only wires send`, { type });
    }
  }
}
