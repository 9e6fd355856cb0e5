import { LIMITS } from "./limits.ts";

/** A reply as it was read. */
export interface Answer {
  readonly id: number;
  readonly command: number;
  readonly flags: number;
  readonly errno: number;
  readonly payloadBytes: number;
}

/** What the protocol says of the answer to one request; a size in bytes where a success has just one. */
interface Expected {
  readonly command: number;
  readonly outcome: "ok" | "error" | "either";
  readonly payloadBytes?: number;
}

const REPLY = 1;
const ERROR = 0x20;
const NO_REPLY = 0x10;
/** Sizes of the device's regions. */
const REGIONS: readonly number[] = [8192, 64, 16_384, 0, 0, 0, 0, 256, 0];
/** The one that the device has for mapping only. */
const MAPPED_REGION = 2;
/** Payloads of successful replies where they have one size. */
const FIXED: ReadonlyMap<number, number> = new Map([
  [2, 0],
  [4, 16],
  [7, 16],
  [8, 0],
  [13, 0],
  [15, 8],
  [18, 0],
  [0x8001, 0],
]);
/** Our own message that areas are unmapped, and the word in a version that makes it one. */
const UNMAPPED = 0x8001;
const UNMAPPED_WORD = '"vfmig":{"layout":true}';
const MAX_AREAS = 1024;

/**
 * Reads what the fuzzer sends as the specification has it, on its own, and says which answers are owed and
 * which are wrong.
 */
export class StreamModel {
  /** The client may be disconnected from here on: it broke the framing, or brought too many fds. */
  mayEnd = false;
  negotiated = false;
  messages = 0;
  #bytes = new Uint8Array(0);
  #broken = false;
  /** A command was sent. */
  #begun = false;
  /** The client has offered to say what it unmaps. */
  #unmaps = false;
  readonly #owed = new Map<number, Expected[]>();

  /** Number of answers that have not come. */
  get owed(): number {
    let count = 0;
    for (const each of this.#owed.values()) count += each.length;
    return count;
  }

  describeOwed(): string {
    const all = [...this.#owed].flatMap(([id, each]) =>
      each.map(({ command }) => `${command}#${id}`),
    );
    return all.slice(0, 8).join(", ");
  }

  /** Takes note of bytes that are on their way, with `fds` on the first of them. */
  sent(bytes: Uint8Array, fds: number): void {
    if (this.#broken) return;
    // Where fds land inside of a message that came in pieces, their number adds up.
    if (fds > LIMITS.fds || (fds > 0 && this.#bytes.length > 0)) this.mayEnd = true;
    const joined = new Uint8Array(this.#bytes.length + bytes.length);
    joined.set(this.#bytes);
    joined.set(bytes, this.#bytes.length);
    let at = 0;
    const view = new DataView(joined.buffer);
    while (joined.length - at >= LIMITS.header) {
      const size = view.getUint32(at + 4, true);
      const limit = !this.#begun ? LIMITS.struct : LIMITS.header + LIMITS.struct + LIMITS.data;
      if (size < LIMITS.header || size > limit) {
        this.#broken = true;
        this.mayEnd = true;
        return;
      }
      if (joined.length - at < size) break;
      this.#message(new DataView(joined.buffer, at, size));
      at += size;
    }
    this.#bytes = joined.slice(at);
  }

  /** Says what is wrong with an answer; undefined where nothing is. */
  answered(answer: Answer): string | undefined {
    const { id, command, flags, errno, payloadBytes } = answer;
    const what = `reply ${command}#${id}`;
    if (flags !== REPLY && flags !== (REPLY | ERROR)) return `${what} has flags ${flags}`;
    const list = this.#owed.get(id);
    const at = list?.findIndex((each) => each.command === command) ?? -1;
    const expected = list?.[at];
    if (list === undefined || expected === undefined)
      return `${what} answers nothing that was asked`;
    list.splice(at, 1);
    if (list.length === 0) this.#owed.delete(id);
    if (flags !== REPLY) {
      if (payloadBytes !== 0) return `${what} is an error with a payload of ${payloadBytes} bytes`;
      if (errno < 1 || errno > 4095) return `${what} has the errno ${errno}`;
      if (expected.outcome === "ok") return `${what} refuses (${errno}) what is right`;
      if (!this.negotiated) this.mayEnd = true;
      return undefined;
    }
    if (errno !== 0) return `${what} is a success with errno ${errno}`;
    if (expected.outcome === "error") return `${what} grants what is wrong`;
    if (command === 1 && !this.negotiated) this.negotiated = true;
    const bytes = expected.payloadBytes ?? FIXED.get(command);
    if (bytes !== undefined && payloadBytes !== bytes) {
      return `${what} has ${payloadBytes} bytes of payload instead of ${bytes}`;
    }
    return undefined;
  }

  #message(view: DataView): void {
    this.messages += 1;
    const id = view.getUint16(0, true);
    const flags = view.getUint32(8, true);
    // What is no command is passed over, also in front of the version.
    if ((flags & 0xf) !== 0) return;
    const first = !this.#begun;
    this.#begun = true;
    if (first) {
      const { buffer, byteOffset, byteLength } = view;
      const text = Buffer.from(buffer, byteOffset, byteLength).toString("latin1");
      this.#unmaps = text.includes(UNMAPPED_WORD);
    }
    if ((flags & NO_REPLY) !== 0) {
      // A first message that asks for no answer may well be one that ends the connection.
      if (first) this.mayEnd = true;
      return;
    }
    // Nothing but a version can be first.
    const expected: Expected = first
      ? { command: view.getUint16(2, true), outcome: "either" }
      : expectation(view, this.#unmaps);
    if (first && expected.command !== 1) this.mayEnd = true;
    const list = this.#owed.get(id);
    if (list === undefined) this.#owed.set(id, [expected]);
    else list.push(expected);
  }
}

function expectation(view: DataView, unmaps: boolean): Expected {
  const command = view.getUint16(2, true);
  const payload = view.byteLength - LIMITS.header;
  if (command === 9 || command === 10) return accessExpectation(view, command, payload);
  if (command === UNMAPPED) {
    return { command, outcome: unmaps && isUnmapping(view, payload) ? "ok" : "error" };
  }
  if (command === 0 || command === 11 || command === 12 || command === 14 || command > 19) {
    return { command, outcome: "error" };
  }
  return { command, outcome: "either" };
}

function accessExpectation(view: DataView, command: number, payload: number): Expected {
  if (payload < 16) return { command, outcome: "error" };
  const offset = view.getBigUint64(16, true);
  const region = view.getUint32(24, true);
  const count = view.getUint32(28, true);
  const read = command === 9;
  const size = REGIONS[region] ?? 0;
  const whole = payload === 16 + (read ? 0 : count);
  const inside = size > 0 && offset + BigInt(count) <= BigInt(size);
  // Where the negotiated limit is below the region's size, either may be.
  const small = count <= 4096 && region !== MAPPED_REGION;
  if (!whole || !inside) return { command, outcome: "error" };
  return { command, outcome: small ? "ok" : "either", payloadBytes: read ? 16 + count : 16 };
}

/** Whole pages of a region that there is, in order, in a message that is as long as it says. */
function isUnmapping(view: DataView, payload: number): boolean {
  if (payload < 16) return false;
  const [argsz, flags, region, count] = [16, 20, 24, 28].map((at) => view.getUint32(at, true));
  const size = REGIONS[region ?? -1];
  if (size === undefined || count === undefined || count > MAX_AREAS || flags !== 0) return false;
  if (payload !== 16 + 16 * count || argsz !== payload) return false;
  let end = 0n;
  for (let i = 0; i < count; i += 1) {
    const offset = view.getBigUint64(32 + 16 * i, true);
    const length = view.getBigUint64(40 + 16 * i, true);
    if (offset < end || length === 0n || offset % 4096n !== 0n || length % 4096n !== 0n)
      return false;
    end = offset + length;
  }
  return end <= BigInt(size);
}
