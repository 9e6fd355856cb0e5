import { chmodSync, lstatSync, rmSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { VfmigError } from "@vfmig/core";
import { MessageStream } from "../message-stream.ts";
import {
  helloMessage,
  MESSAGE_HEADER,
  newMessage,
  protocolError,
  viewOf,
  WIRE_MESSAGE,
} from "../messages.ts";
import {
  createSwitch,
  type EthernetSwitch,
  type SwitchOptions,
  type SwitchPort,
} from "./learning-switch.ts";

/** Bytes that may wait for a device that does not read; frames beyond are dropped. */
const MAX_BACKLOG = 4 * 1024 * 1024;

export interface ListenSwitchOptions extends SwitchOptions {
  /** Called when a device joins, when it leaves, and why where it broke the protocol or was refused. */
  readonly onEvent?: (event: SwitchEvent) => void;
}

export interface SwitchEvent {
  readonly type: "joined" | "left" | "refused";
  /** The port's number as a text, from 1; no number is used twice. */
  readonly port: string;
  readonly error?: unknown;
}

/** A switch that devices of other processes join over a unix socket. */
export interface ListeningSwitch extends AsyncDisposable {
  /** The switch itself; devices of this process may join it too. */
  readonly ethernet: EthernetSwitch;
}

/**
 * Opens a switch at the unix socket `path`. Devices whose wire is `{ kind: "switch", path }` join it, in
 * any number and order, and may come back.
 * @throws VfmigError `ERR_VFMIG_WIRE_PORT` where the socket cannot be opened
 */
export async function listenSwitch(
  path: string,
  options: ListenSwitchOptions = {},
): Promise<ListeningSwitch> {
  const server = new SwitchServer(options);
  await server.listen(path);
  return server;
}

class SwitchServer implements ListeningSwitch {
  readonly ethernet: EthernetSwitch;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #onEvent: (event: SwitchEvent) => void;
  #joined = 0;

  constructor(options: ListenSwitchOptions) {
    this.ethernet = createSwitch(options);
    this.#onEvent = options.onEvent ?? (() => undefined);
    this.#server = createServer((socket) => this.#join(socket));
  }

  async listen(path: string): Promise<void> {
    try {
      if (await isDead(path)) rmSync(path, { force: true });
      await listening(this.#server, path);
      // Whoever joins hears and says what it likes: this user's processes only.
      chmodSync(path, 0o600);
    } catch (cause) {
      this.#server.close();
      throw new VfmigError(
        "ERR_VFMIG_WIRE_PORT",
        `cannot open a switch at ${path}; end the process that listens there, or choose another path`,
        { layer: "testkit", details: { path }, cause },
      );
    }
    this.#server.on("error", () => undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    this.#server.close(() => resolve(undefined));
    for (const socket of this.#sockets) socket.destroy();
    await promise;
  }

  #join(socket: Socket): void {
    const port = String(++this.#joined);
    let error: unknown;
    let place: SwitchPort;
    // A device that is killed resets its connection; `close` follows.
    socket.on("error", () => undefined);
    try {
      place = this.ethernet.join(port, (frame) => send(socket, frame));
    } catch (cause) {
      socket.destroy();
      this.#onEvent({ type: "refused", port, error: cause });
      return;
    }
    this.#sockets.add(socket);
    const stream = new MessageStream((type, payload) => handle(place, type, payload));
    socket.on("data", (chunk) => {
      try {
        if (!socket.destroyed) stream.push(chunk);
      } catch (cause) {
        error = cause;
        socket.destroy();
      }
    });
    socket.on("close", () => {
      this.#sockets.delete(socket);
      place.leave();
      this.#onEvent({ type: "left", port, error });
    });
    socket.write(helloMessage());
    this.#onEvent({ type: "joined", port });
  }
}

function handle(place: SwitchPort, type: number, payload: Uint8Array): void {
  if (type === WIRE_MESSAGE.FROM_PORT) place.input(payload);
  // What became of a frame is told to wires that keep accounts; a switch does not.
  else if (type !== WIRE_MESSAGE.VERDICT && type !== WIRE_MESSAGE.PONG) {
    throw protocolError(`a port sent a message of type ${type}, which only wires send`, { type });
  }
}

function send(socket: Socket, frame: Uint8Array): boolean {
  if (socket.destroyed || socket.writableLength > MAX_BACKLOG) return false;
  const message = newMessage(WIRE_MESSAGE.TO_PORT, 4 + frame.length);
  viewOf(message).setUint32(MESSAGE_HEADER, 0, true);
  message.set(frame, MESSAGE_HEADER + 4);
  socket.write(message);
  return true;
}

async function listening(server: Server, path: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  server.once("error", reject);
  server.listen(path, () => resolve(undefined));
  await promise;
  server.off("error", reject);
}

/** True where `path` is a socket that no process listens at any more. */
async function isDead(path: string): Promise<boolean> {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return false;
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(path);
  socket.once("connect", () => resolve(false));
  socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code === "ECONNREFUSED"));
  const dead = await promise;
  socket.destroy();
  return dead;
}
