import type { NativeIo } from "@vfmig/linux";
import { message, u32 } from "../raw-peer.ts";
import type { FuzzDevice } from "./fuzz-device.ts";
import type { Random } from "./random.ts";
import { RequestMaker, type FdKind, type Made } from "./request-maker.ts";
import { StreamModel } from "./stream-model.ts";

/** Something that the server must not do. */
export class Finding extends Error {
  override readonly name = "Finding";
}

/** After this much time what has not happened will not. */
const PATIENCE_MS = 3000;

/** Lets the server have `count` turns of the event loop. */
export async function turns(count: number): Promise<void> {
  for (let left = count; left > 0; left -= 1) {
    // oxlint-disable-next-line no-await-in-loop -- each is a turn of its own
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
}

export interface SessionParts {
  readonly io: NativeIo;
  readonly path: string;
  readonly device: FuzzDevice;
  readonly random: Random;
  /** Most messages to send. */
  readonly messages: number;
}

/** One hostile client, from its connect to its end. */
export class ClientSession {
  readonly #parts: SessionParts;
  readonly #io: NativeIo;
  readonly #fd: number;
  readonly #random: Random;
  readonly #maker: RequestMaker;
  readonly #model = new StreamModel();
  readonly #received: number[] = [];
  readonly #into = new Uint8Array(65_536);
  #incoming = new Uint8Array(0);
  #ended = false;
  #unwritable = false;

  constructor(parts: SessionParts) {
    this.#parts = parts;
    this.#io = parts.io;
    this.#random = parts.random;
    this.#maker = new RequestMaker(parts.random);
    this.#fd = parts.io.connect(parts.path);
  }

  /** Whole messages that were sent. */
  get sent(): number {
    return this.#model.messages;
  }

  /** @throws Finding */
  async run(): Promise<void> {
    const random = this.#random;
    const { device, messages } = this.#parts;
    const style = random.below(10);
    if (!random.oneIn(20)) await this.#send(this.#maker.version());
    while (this.#model.messages < messages && !this.#ended) {
      if (random.oneIn(12)) device.closeGates(random);
      const batch = 1 + random.below(random.oneIn(4) ? 60 : 6);
      for (let i = 0; i < batch && !this.#ended; i += 1) {
        // oxlint-disable-next-line no-await-in-loop -- one after the other, as on any socket
        await this.#send(style === 0 ? this.#maker.noise() : this.#maker.next());
      }
      if (random.oneIn(40)) break;
      // oxlint-disable-next-line no-await-in-loop -- the server's turn
      await turns(1 + random.below(3));
      this.#receive();
      if (random.oneIn(3)) device.openGates();
      // Once the framing is lost nothing more can come of it.
      if (this.#model.mayEnd && random.oneIn(3)) break;
    }
    if (random.oneIn(2)) await this.#settle();
    device.openGates();
    this.#leave();
    if (!this.#unwritable) return;
    this.#ended = false;
    this.#receive();
  }

  /** Closes what this client holds, whatever has happened. */
  [Symbol.dispose](): void {
    for (const fd of this.#received.splice(0)) this.#io.close(fd);
    this.#io.close(this.#fd);
  }

  #leave(): void {
    const random = this.#random;
    if (this.#ended || !random.oneIn(4)) return;
    // In the middle of a message.
    const { bytes } = this.#maker.next();
    this.#write(bytes.subarray(0, random.below(bytes.length)), []);
  }

  /** Everything that was asked must be answered by now. */
  async #settle(): Promise<void> {
    const model = this.#model;
    this.#parts.device.openGates();
    const deadline = performance.now() + PATIENCE_MS;
    while (!this.#ended && model.owed > 0 && performance.now() < deadline) {
      // oxlint-disable-next-line no-await-in-loop -- the server's turn
      await turns(1);
      this.#receive();
    }
    if (this.#ended || model.owed === 0 || model.mayEnd) return;
    throw new Finding(`${model.owed} answers never came: ${model.describeOwed()}`);
  }

  async #send(made: Made): Promise<void> {
    const random = this.#random;
    const fds = made.fds.map((kind) => this.#open(kind));
    this.#model.sent(made.bytes, fds.length);
    const cut = random.oneIn(20) ? random.below(made.bytes.length) : 0;
    if (cut > 0) {
      await this.#deliver(made.bytes.subarray(0, cut), fds);
      await turns(1);
    }
    if (!this.#ended) await this.#deliver(made.bytes.subarray(cut), cut > 0 ? [] : fds);
    for (const fd of fds) this.#io.close(fd);
  }

  /** Sends all of it, and reads meanwhile, as the server may wait for that. */
  async #deliver(bytes: Uint8Array, fds: readonly number[]): Promise<void> {
    let sent = 0;
    const start = performance.now();
    while (sent < bytes.length && !this.#ended) {
      const count = this.#write(bytes.subarray(sent), sent === 0 ? fds : []);
      if (count > 0) {
        sent += count;
        continue;
      }
      this.#parts.device.openGates();
      if (performance.now() > start + PATIENCE_MS)
        throw new Finding("the server reads no more, and all its replies were read");
      // oxlint-disable-next-line no-await-in-loop -- the server's turn
      await turns(1);
      this.#receive();
    }
  }

  #write(bytes: Uint8Array, fds: readonly number[]): number {
    if (bytes.length === 0) return 0;
    try {
      return this.#io.send(this.#fd, bytes, 0, bytes.length, fds);
    } catch {
      // The server has closed; whether it may is known when its last replies are read.
      this.#unwritable = true;
      this.#ended = true;
      return -1;
    }
  }

  #open(kind: FdKind): number {
    const io = this.#io;
    if (kind === "memfd") return io.memfd("fuzz", this.#random.pick([4096, 65_536, 131_072]));
    if (kind === "eventfd") return io.eventfd();
    const [one, other] = io.socketPair();
    if (kind === "socket") this.#received.push(other);
    else io.close(other);
    return one;
  }

  #receive(): void {
    for (;;) {
      const fds: number[] = [];
      const count = this.#read(fds);
      for (const fd of fds) this.#received.push(fd);
      if (count === 0) this.#end();
      if (count <= 0) return;
      const joined = new Uint8Array(this.#incoming.length + count);
      joined.set(this.#incoming);
      joined.set(this.#into.subarray(0, count), this.#incoming.length);
      this.#incoming = joined;
      this.#cut();
    }
  }

  /** 0 at the end, also where the server closed before it had read all that was sent. */
  #read(fds: number[]): number {
    try {
      return this.#io.receive(this.#fd, this.#into, 0, this.#into.length, fds);
    } catch {
      return 0;
    }
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    if (!this.#model.mayEnd) throw new Finding("the server closed a connection that broke no rule");
  }

  #cut(): void {
    const view = new DataView(this.#incoming.buffer);
    let at = 0;
    while (this.#incoming.length - at >= 16) {
      const size = view.getUint32(at + 4, true);
      if (size < 16 || size > 1_000_000)
        throw new Finding(`the server sent a message of ${size} bytes`);
      if (this.#incoming.length - at < size) break;
      this.#incomingMessage(view, at, size);
      at += size;
    }
    this.#incoming = this.#incoming.slice(at);
  }

  #incomingMessage(view: DataView, at: number, size: number): void {
    const answer = {
      id: view.getUint16(at, true),
      command: view.getUint16(at + 2, true),
      flags: view.getUint32(at + 8, true),
      errno: view.getUint32(at + 12, true),
      payloadBytes: size - 16,
    };
    if ((answer.flags & 0xf) === 0) {
      this.#asked(answer.id, answer.command, view.getUint32(at + 24, true));
      return;
    }
    const problem = this.#model.answered(answer);
    if (problem !== undefined) throw new Finding(problem);
  }

  /** DMA_READ or DMA_WRITE: answered rightly, wrongly, or not at all. */
  #asked(id: number, command: number, count: number): void {
    if (command !== 11 && command !== 12) throw new Finding(`the server asked for ${command}`);
    const random = this.#random;
    const data = new Uint8Array(command === 11 ? count : 0);
    const right = Buffer.concat([new Uint8Array(8), u32(count, 0), data]);
    switch (random.below(6)) {
      case 0:
        return;
      case 1:
        return this.#reply(id, command, random.bytes(random.below(100)), 1);
      case 2:
        return this.#reply(id, command, new Uint8Array(0), 0x21);
      case 3:
        return this.#reply(id + 1, command, right, 1);
      default:
        return this.#reply(id, command, right, 1);
    }
  }

  #reply(id: number, command: number, payload: Uint8Array, flags: number): void {
    const bytes = message(id & 0xffff, command, payload, flags);
    const partial = this.#write(bytes, []);
    // A reply that the socket cut would shift all that follows.
    if (partial === bytes.length) this.#model.sent(bytes, 0);
    else this.#model.mayEnd = true;
  }
}
