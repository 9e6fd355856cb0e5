import { HEADER } from "../codec/header.ts";
import { Message } from "./message.ts";

/** Fds and the place in the stream at which their message begins. */
interface FdMark {
  readonly at: number;
  readonly fds: number[];
}

export interface FrameReaderOptions {
  /** Largest message, header included, in bytes. */
  readonly maxMessageBytes: number;
  /** Most fds that one message may bring. */
  readonly maxFds: number;
  /** First size of the buffer in bytes; it grows up to the largest message. */
  readonly initialBytes?: number;
}

/** `message`: {@link FrameReader.message} is filled. `broken`: the stream cannot be read further. */
export type FrameResult = "message" | "partial" | "broken";

const DEFAULT_INITIAL = 65_536;
/** Below this much room, a partial message is moved to the front to keep reads big. */
const LEAST_ROOM = 16_384;

/**
 * Cuts a byte stream into messages, without copying them, and finds the message to which received
 * fds belong. Knows nothing of sockets: somebody else reads into `bytes` and says what came.
 */
export class FrameReader {
  bytes: Uint8Array<ArrayBuffer>;
  view: DataView;
  readonly message: Message = new Message();
  /** Why {@link FrameReader.next} said `broken`. */
  problem: string = "";
  #maxMessageBytes: number;
  readonly #maxFds: number;
  #start = 0;
  #end = 0;
  /** Position of `bytes[0]` in the stream. */
  #origin = 0;
  readonly #marks: FdMark[] = [];

  constructor(options: FrameReaderOptions) {
    this.#maxMessageBytes = options.maxMessageBytes;
    this.#maxFds = options.maxFds;
    const initial = Math.min(options.initialBytes ?? DEFAULT_INITIAL, options.maxMessageBytes);
    this.bytes = new Uint8Array(Math.max(initial, HEADER.BYTES));
    this.view = new DataView(this.bytes.buffer);
  }

  /** Changes the largest message, as the negotiation demands. */
  set maxMessageBytes(value: number) {
    this.#maxMessageBytes = value;
  }

  /** Where the next bytes go. */
  get writeOffset(): number {
    return this.#end;
  }

  /** How many bytes may go there; at least 1 after {@link FrameReader.makeRoom}. */
  get room(): number {
    return this.bytes.length - this.#end;
  }

  /** Makes room for the rest of the message in progress. Call when no complete message is left. */
  makeRoom(): void {
    const held = this.#end - this.#start;
    if (held === 0) {
      this.#origin += this.#start;
      this.#start = 0;
      this.#end = 0;
      return;
    }
    const size =
      held >= HEADER.BYTES ? this.view.getUint32(this.#start + HEADER.MESSAGE_SIZE, true) : 0;
    const need = Math.max(HEADER.BYTES, size);
    if (need > this.bytes.length) this.#grow(need);
    else if (this.#start + need > this.bytes.length || this.room < LEAST_ROOM) this.#compact();
  }

  /** Takes note of `count` bytes that now stand at `writeOffset`, and takes the fds out of `fds`. */
  commit(count: number, fds: number[]): void {
    const before = this.#end;
    this.#end = before + count;
    if (fds.length > 0) this.#mark(this.#lastBegin(), fds);
  }

  /** Moves on to the next complete message. */
  next(): FrameResult {
    if (this.problem !== "") return "broken";
    const held = this.#end - this.#start;
    if (held < HEADER.BYTES) return "partial";
    const size = this.view.getUint32(this.#start + HEADER.MESSAGE_SIZE, true);
    if (size < HEADER.BYTES || size > this.#maxMessageBytes) {
      this.problem = `message size ${size} is not between ${HEADER.BYTES} and ${this.#maxMessageBytes}`;
      return "broken";
    }
    if (held < size) return "partial";
    this.message.place(this.bytes, this.view, this.#start, size);
    if (this.#marks.length > 0) this.#takeFds(this.#origin + this.#start);
    this.#start += size;
    return "message";
  }

  /** Whether a message has come in part. Meant for when {@link FrameReader.next} has said `partial`. */
  get partial(): boolean {
    return this.#end > this.#start;
  }

  /** Whether {@link FrameReader.next} has more to say than `partial`. */
  get ready(): boolean {
    const held = this.#end - this.#start;
    if (held < HEADER.BYTES) return false;
    return held >= this.view.getUint32(this.#start + HEADER.MESSAGE_SIZE, true);
  }

  /**
   * Gives the buffer with the current message away and goes on in `replacement`; undefined, and nothing
   * done, where bytes of later messages stand behind it.
   */
  exchange(replacement: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> | undefined {
    if (this.#start !== this.#end || replacement.length < HEADER.BYTES) return undefined;
    const given = this.bytes;
    this.#origin += this.#start;
    this.#start = 0;
    this.#end = 0;
    this.bytes = replacement;
    this.view = new DataView(replacement.buffer);
    return given;
  }

  /** Fds that no message has taken, for closing. */
  drainFds(): number[] {
    const left = this.#marks.splice(0).flatMap((mark) => mark.fds);
    return left.concat(this.message.fds.splice(0));
  }

  /**
   * Where the last message begins of which bytes have come. A read never runs past the end of a chunk
   * that carries fds but may begin before it, so that message is the one the fds belong to.
   */
  #lastBegin(): number {
    let at = this.#start;
    while (this.#end - at >= HEADER.MESSAGE_SIZE + 4) {
      const size = this.view.getUint32(at + HEADER.MESSAGE_SIZE, true);
      if (size < HEADER.BYTES || at + size >= this.#end) break;
      at += size;
    }
    return this.#origin + at;
  }

  #mark(at: number, fds: number[]): void {
    const last = this.#marks.at(-1);
    const mark = last?.at === at ? last : { at, fds: [] };
    if (mark !== last) this.#marks.push(mark);
    mark.fds.push(...fds.splice(0));
    if (mark.fds.length > this.#maxFds) {
      this.problem = `${mark.fds.length} fds came with one message; the limit is ${this.#maxFds}`;
    }
  }

  #takeFds(at: number): void {
    const first = this.#marks[0];
    if (first === undefined || first.at !== at) return;
    this.#marks.shift();
    this.message.fds.push(...first.fds);
  }

  #compact(): void {
    this.bytes.copyWithin(0, this.#start, this.#end);
    this.#origin += this.#start;
    this.#end -= this.#start;
    this.#start = 0;
  }

  #grow(need: number): void {
    const capacity = Math.min(
      Math.max(need, this.bytes.length * 2),
      Math.max(this.#maxMessageBytes, need),
    );
    const bytes = new Uint8Array(capacity);
    bytes.set(this.bytes.subarray(this.#start, this.#end));
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer);
    this.#origin += this.#start;
    this.#end -= this.#start;
    this.#start = 0;
  }
}
