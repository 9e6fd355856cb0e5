import type { VfmigError } from "../errors/vfmig-error.ts";
import { frameCrc, type Frame } from "./frame.ts";
import { GrowingBuffer } from "./growing-buffer.ts";
import {
  FLAG_MANDATORY,
  FRAME,
  PREAMBLE,
  RECORD_TYPE,
  STATE_FORMAT_VERSION,
  STATE_MAGIC,
  type StateLimits,
} from "./layout.ts";
import { decodePayload } from "./payload.ts";
import { recordError, type RecordPlace } from "./record-place.ts";

type Phase = "preamble" | "head" | "payload" | "end";

/** Names a type for errors. */
export type TypeName = (type: number) => string | undefined;

/**
 * Cuts a stream into records and checks what needs no plugin: magic, version, lengths, checksums,
 * sequence, header first, end last. Bytes may come in any split.
 *
 * Holds at most one payload: `limits.recordBytes`, and never more than twice what has arrived.
 */
export class FrameReader {
  readonly #limits: StateLimits;
  readonly #typeName: TypeName;
  readonly #head: GrowingBuffer = new GrowingBuffer(FRAME.size);
  readonly #payload: GrowingBuffer = new GrowingBuffer(4096);
  #phase: Phase = "preamble";
  #index = 0;
  /** Where the record that is being read begins. */
  #offset = 0;
  #type: number | undefined;
  #flags = 0;
  #sequence = 0;
  #length = 0;
  #crc = 0;
  #input: Uint8Array = new Uint8Array(0);
  #at = 0;

  constructor(limits: StateLimits, typeName: TypeName) {
    this.#limits = limits;
    this.#typeName = typeName;
  }

  /** True once the end record was read and found right. */
  get complete(): boolean {
    return this.#phase === "end";
  }

  /** Gives the next bytes; call {@link FrameReader.next} until it has no more before the next feed. */
  feed(bytes: Uint8Array): void {
    this.#input = bytes;
    this.#at = 0;
  }

  /**
   * The next whole record, the end record included, or undefined where more bytes are needed.
   * @throws VfmigError `ERR_VFMIG_STATE_*`, naming the record
   */
  next(): Frame | undefined {
    for (;;) {
      if (this.#phase === "end") return this.#nothingMore();
      const whole =
        this.#phase === "payload"
          ? this.#fill(this.#payload, this.#length)
          : this.#fill(this.#head, this.#phase === "head" ? FRAME.size : PREAMBLE.size);
      if (!whole) return undefined;
      if (this.#phase === "preamble") this.#preamble();
      else if (this.#phase === "head") this.#openRecord();
      else return this.#closeRecord();
    }
  }

  /** @throws VfmigError `ERR_VFMIG_STATE_TRUNCATED` where the end record has not come */
  finish(): void {
    if (this.#phase === "end") return;
    const inPayload = this.#phase === "payload";
    const wanted = inPayload ? this.#length : this.#phase === "head" ? FRAME.size : PREAMBLE.size;
    const have = inPayload ? this.#payload.length : this.#head.length;
    const what = `the stream ends after ${have} of ${wanted} bytes of the ${this.#phase}`;
    throw recordError("ERR_VFMIG_STATE_TRUNCATED", this.#place(), what, {
      details: { have, wanted, part: this.#phase },
    });
  }

  #fill(buffer: GrowingBuffer, size: number): boolean {
    const take = Math.min(size - buffer.length, this.#input.length - this.#at);
    buffer.append(this.#input, this.#at, take, size);
    this.#at += take;
    return buffer.length === size;
  }

  #preamble(): void {
    const bytes = this.#head.bytes();
    if (!STATE_MAGIC.every((byte, i) => bytes[PREAMBLE.magic + i] === byte)) {
      const what = "the stream does not begin with the magic of a vfmig device state";
      throw recordError("ERR_VFMIG_STATE_MAGIC", this.#place(), what);
    }
    const version = this.#head.view.getUint32(PREAMBLE.version, true);
    if (version !== STATE_FORMAT_VERSION) {
      throw recordError(
        "ERR_VFMIG_STATE_FORMAT_VERSION",
        this.#place(),
        `format version ${version}; this vfmig reads version ${STATE_FORMAT_VERSION}`,
        { details: { version, reads: [STATE_FORMAT_VERSION] } },
      );
    }
    this.#startHead(PREAMBLE.size);
  }

  #startHead(offset: number): void {
    this.#offset = offset;
    this.#type = undefined;
    this.#head.clear();
    this.#payload.clear();
    this.#phase = "head";
  }

  #openRecord(): void {
    const view = this.#head.view;
    this.#type = view.getUint16(FRAME.type, true);
    this.#flags = view.getUint16(FRAME.flags, true);
    this.#sequence = view.getUint32(FRAME.sequence, true);
    this.#length = view.getUint32(FRAME.length, true);
    this.#crc = view.getUint32(FRAME.crc, true);
    this.#limit("payload bytes", this.#length, this.#limits.recordBytes);
    this.#limit(
      "bytes of the stream",
      this.#offset + FRAME.size + this.#length,
      this.#limits.streamBytes,
    );
    this.#limit("records", this.#index + 1, this.#limits.records);
    this.#phase = "payload";
  }

  #limit(what: string, value: number, limit: number): void {
    if (value <= limit) return;
    throw recordError("ERR_VFMIG_STATE_LIMIT", this.#place(), `${value} ${what}; limit ${limit}`, {
      details: { value, limit },
    });
  }

  #closeRecord(): Frame {
    const payload = this.#payload.bytes();
    const crc = frameCrc(this.#head.bytes(), payload);
    if (crc !== this.#crc) {
      const what = `CRC 0x${crc.toString(16)} does not match the stated 0x${this.#crc.toString(16)}`;
      throw recordError("ERR_VFMIG_STATE_CHECKSUM", this.#place(), what);
    }
    const type = this.#type ?? 0;
    this.#checkOrder(type);
    const frame: Frame = {
      index: this.#index,
      offset: this.#offset,
      type,
      mandatory: (this.#flags & FLAG_MANDATORY) !== 0,
      payload,
    };
    if (type === RECORD_TYPE.end) this.#checkEnd(payload);
    this.#index += 1;
    this.#startHead(this.#offset + FRAME.size + payload.length);
    if (type === RECORD_TYPE.end) this.#phase = "end";
    // #startHead only forgets the length of the payload; its bytes stay until the next append.
    return frame;
  }

  #checkOrder(type: number): void {
    if (this.#sequence !== this.#index) {
      throw this.#outOfOrder(`it carries sequence number ${this.#sequence}`);
    }
    if ((this.#flags & ~FLAG_MANDATORY) !== 0) {
      throw this.#outOfOrder(`flags 0x${this.#flags.toString(16)} are not of this format version`);
    }
    if ((type === RECORD_TYPE.header) !== (this.#index === 0)) {
      throw this.#outOfOrder("the header must be the first record, and come once");
    }
    const own = type === RECORD_TYPE.header || type === RECORD_TYPE.end;
    if (own && (this.#flags & FLAG_MANDATORY) === 0) {
      throw this.#outOfOrder("header and end must be marked mandatory");
    }
  }

  #checkEnd(payload: Uint8Array): void {
    const place = this.#place();
    const value = decodePayload(payload, this.#limits, place);
    const stated = endCounts(value);
    if (stated?.records === this.#index && stated.bytes === this.#offset) return;
    throw this.#outOfOrder(
      stated === undefined
        ? "the end does not state records and bytes"
        : `the end states ${stated.records} records and ${stated.bytes} bytes before it; ` +
            `${this.#index} and ${this.#offset} came`,
    );
  }

  #outOfOrder(what: string): VfmigError {
    return recordError("ERR_VFMIG_STATE_ORDER", this.#place(), what, {
      details: { sequence: this.#sequence },
    });
  }

  #nothingMore(): undefined {
    const extra = this.#input.length - this.#at;
    if (extra === 0) return undefined;
    throw recordError(
      "ERR_VFMIG_STATE_TRAILING",
      { index: this.#index, offset: this.#offset },
      `${extra} bytes follow the end record`,
      { details: { extra } },
    );
  }

  #place(): RecordPlace {
    const header = this.#phase === "preamble" ? RECORD_TYPE.header : undefined;
    const type = this.#type ?? header;
    return {
      index: this.#index,
      offset: this.#offset,
      type,
      name: type === undefined ? undefined : this.#typeName(type),
    };
  }
}

/** Payload of the end record: how many records and bytes came before it. */
export interface EndCounts {
  readonly records: number;
  readonly bytes: number;
}

function endCounts(value: unknown): EndCounts | undefined {
  if (typeof value !== "object" || value === null || Object.keys(value).length !== 2) {
    return undefined;
  }
  if (!("records" in value) || !("bytes" in value)) return undefined;
  const { records, bytes } = value;
  return typeof records === "number" && typeof bytes === "number" ? { records, bytes } : undefined;
}
