import { encode, rfc8949EncodeOptions } from "cborg";
import { INTENDED_BYTES, type IntendedChange } from "../sub-driver/intended-change.ts";
import { VfmigError } from "../errors/vfmig-error.ts";
import { DEFAULT_STATE_LIMITS, type StateLimits } from "../state/layout.ts";
import { decodePayload } from "../state/payload.ts";
import type { RecordedAnswer, RecordedError, RecordedEvent, RecordedMemory } from "./events.ts";
import { answerSchema, callSchema } from "./event-schema.ts";

/**
 * Events as they stand in a batch, little endian, one behind the other:
 *
 * ```
 * event         kind u8, op u32, then by kind
 * read, write   region u16, offset f64, length u32, bytes      (an error follows as an answer)
 * signal        index u16, vector u16                          (missed likewise)
 * ...-memory    iova f64, length u32, bytes
 * call, answer  length u32, CBOR in the encoding of the device state
 * turn          nothing
 * input         length u32, bytes
 * intended      iova f64, length u32, mask, length u32, UTF-8
 * ```
 */
const KINDS = [
  "read",
  "write",
  "signal",
  "missed",
  "device-memory",
  "guest-memory",
  "initial-memory",
  "call",
  "answer",
  "turn",
  "input",
  "intended",
] as const;

type Kind = (typeof KINDS)[number];
type MemoryKind = RecordedMemory["kind"];

const HEAD = 5;
const ACCESS = HEAD + 14;
const MEMORY = HEAD + 12;
const ENCODE = { ...rfc8949EncodeOptions, ignoreUndefinedProperties: true } as const;

/** Packs events behind one another; the bytes are taken as batches. */
export class EventPacker {
  #bytes: Uint8Array<ArrayBuffer>;
  #view: DataView;
  #length = 0;

  constructor(initialBytes = 65_536) {
    this.#bytes = new Uint8Array(initialBytes);
    this.#view = new DataView(this.#bytes.buffer);
  }

  get length(): number {
    return this.#length;
  }

  /** What was packed, as a copy of its own; the packer begins anew. */
  take(): Uint8Array {
    const batch = this.#bytes.slice(0, this.#length);
    this.#length = 0;
    return batch;
  }

  /** An access with room for its data; gives where the data stands until the next {@link take}. */
  access(
    kind: "read" | "write",
    op: number,
    region: number,
    offset: number,
    length: number,
  ): number {
    const at = this.#begin(kind, op, ACCESS + length);
    this.#view.setUint16(at + HEAD, region, true);
    this.#view.setFloat64(at + HEAD + 2, offset, true);
    this.#view.setUint32(at + HEAD + 10, length, true);
    this.#bytes.fill(0, at + ACCESS, at + ACCESS + length);
    return at + ACCESS;
  }

  /** Puts bytes where {@link access} left room. */
  fill(at: number, data: Uint8Array): void {
    this.#bytes.set(data, at);
  }

  signal(kind: "signal" | "missed", op: number, index: number, vector: number): void {
    const at = this.#begin(kind, op, HEAD + 4);
    this.#view.setUint16(at + HEAD, index, true);
    this.#view.setUint16(at + HEAD + 2, vector, true);
  }

  memory(kind: MemoryKind, op: number, iova: number, data: Uint8Array): void {
    const at = this.#begin(kind, op, MEMORY + data.length);
    this.#view.setFloat64(at + HEAD, iova, true);
    this.#view.setUint32(at + HEAD + 8, data.length, true);
    this.#bytes.set(data, at + MEMORY);
  }

  turn(op: number): void {
    this.#begin("turn", op, HEAD);
  }

  input(op: number, data: Uint8Array): void {
    const at = this.#begin("input", op, HEAD + 4 + data.length);
    this.#bytesAt(at + HEAD, data);
  }

  intended(op: number, { iova, mask, why }: IntendedChange): void {
    const text = new TextEncoder().encode(why);
    const at = this.#begin("intended", op, MEMORY + mask.length + 4 + text.length);
    this.#view.setFloat64(at + HEAD, iova, true);
    this.#bytesAt(at + HEAD + 8, mask);
    this.#bytesAt(at + MEMORY + mask.length, text);
  }

  #bytesAt(at: number, data: Uint8Array): void {
    this.#view.setUint32(at, data.length, true);
    this.#bytes.set(data, at + 4);
  }

  /** A call or its answer; not for hot paths. */
  value(kind: "call" | "answer", op: number, value: object): void {
    const payload = encode(value, ENCODE);
    const at = this.#begin(kind, op, HEAD + 4 + payload.length);
    this.#view.setUint32(at + HEAD, payload.length, true);
    this.#bytes.set(payload, at + HEAD + 4);
  }

  #begin(kind: Kind, op: number, size: number): number {
    const at = this.#length;
    const end = at + size;
    if (end > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(end, 2 * this.#bytes.length));
      larger.set(this.#bytes.subarray(0, at));
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    this.#view.setUint8(at, KINDS.indexOf(kind));
    this.#view.setUint32(at + 1, op, true);
    this.#length = end;
    return at;
  }
}

/**
 * Unpacks a batch; each length is checked before it is believed.
 * @throws VfmigError `ERR_VFMIG_RECORDING_FORMAT`
 */
export function unpackEvents(batch: Uint8Array, into: RecordedEvent[]): void {
  const reader = new Unpacker(batch);
  while (!reader.done) into.push(reader.next());
}

class Unpacker {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  get done(): boolean {
    return this.#at === this.#bytes.length;
  }

  next(): RecordedEvent {
    const kind = KINDS[this.#view.getUint8(this.#skip(1))];
    const op = this.#u32();
    switch (kind) {
      case "read":
      case "write": {
        const region = this.#u16();
        const offset = this.#address();
        return { kind, op, region, offset, data: this.#data() };
      }
      case "signal":
      case "missed":
        return { kind, op, index: this.#u16(), vector: this.#u16() };
      case "device-memory":
      case "guest-memory":
      case "initial-memory":
        return { kind, op, iova: this.#address(), data: this.#data() };
      case "call":
        return { kind, op, call: this.#checked(callSchema) };
      case "answer":
        return { kind, op, answer: this.#checked(answerSchema) };
      case "turn":
        return { kind, op };
      case "input":
        return { kind, op, data: this.#data() };
      case "intended": {
        const [iova, mask] = [this.#address(), this.#data()];
        if (mask.length > INTENDED_BYTES) throw formatError("an intended change is too long");
        const why = new TextDecoder().decode(this.#data());
        return { kind, op, change: { iova, mask, why } };
      }
      default:
        throw formatError(`byte ${this.#at - HEAD} of a batch begins no kind of event`);
    }
  }

  #checked<T>(schema: {
    safeParse(value: unknown): { success: true; data: T } | { success: false; error: Error };
  }): T {
    const limits: StateLimits = { ...DEFAULT_STATE_LIMITS, recordBytes: this.#bytes.length };
    const place = { index: 0, offset: this.#at, type: 16, name: "events" };
    const result = schema.safeParse(decodePayload(this.#data(), limits, place));
    if (result.success) return result.data;
    throw formatError(`a call or an answer is none: ${result.error.message}`);
  }

  #u16(): number {
    return this.#view.getUint16(this.#skip(2), true);
  }

  #u32(): number {
    return this.#view.getUint32(this.#skip(4), true);
  }

  #address(): number {
    const value = this.#view.getFloat64(this.#skip(8), true);
    if (Number.isSafeInteger(value) && value >= 0) return value;
    throw formatError(`${value} is no address`);
  }

  #data(): Uint8Array {
    const length = this.#u32();
    const at = this.#skip(length);
    return this.#bytes.subarray(at, at + length);
  }

  #skip(count: number): number {
    const at = this.#at;
    if (count > this.#bytes.length - at) throw formatError("a batch ends within an event");
    this.#at = at + count;
    return at;
  }
}

/** The error of a file that is no recording, or a damaged one. */
export function formatError(why: string, cause?: unknown): VfmigError {
  return new VfmigError(
    "ERR_VFMIG_RECORDING_FORMAT",
    `This is no whole recording: ${why}. Record again, or take an undamaged copy.`,
    { layer: "core", details: { why }, cause },
  );
}

/** What a recording keeps of an error. */
export function recordedError(error: unknown): RecordedError {
  const message = error instanceof Error ? error.message : String(error);
  if (!VfmigError.is(error)) return { code: "none", layer: "unknown", errno: "EIO", message };
  const { errno } = error.details;
  return {
    code: error.code,
    layer: error.layer,
    errno: typeof errno === "string" ? errno : "EIO",
    message,
  };
}

/** The answer for what was thrown. */
export function failedAnswer(error: unknown): RecordedAnswer {
  return { error: recordedError(error) };
}
