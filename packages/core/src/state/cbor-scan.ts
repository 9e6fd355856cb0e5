import type { StateLimits } from "./layout.ts";

/** Why a payload may not be decoded. */
export interface ScanFault {
  readonly kind: "malformed" | "limit";
  readonly reason: string;
  /** Bytes from the beginning of the payload. */
  readonly at: number;
}

/** Major types of RFC 8949 3.1. */
const MAJOR = { bytes: 2, text: 3, list: 4, map: 5, tag: 6, simple: 7 } as const;

const PROTO_KEY = new TextEncoder().encode("__proto__");

/**
 * Walks a payload before it is decoded, so that no length that it states costs memory: definite
 * lengths that fit the bytes, bounded depth and count, text keys, no tags, only false, true, null and
 * floats beside integers, strings, lists and maps. Shortest forms, key order, duplicates and UTF-8 are
 * settled afterwards by encoding again.
 */
export function scanPayload(bytes: Uint8Array, limits: StateLimits): ScanFault | undefined {
  return new Scan(bytes, limits).run();
}

class Scan {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #limits: StateLimits;
  /** Items still to come in each open list or map. */
  readonly #open: number[] = [];
  readonly #isMap: boolean[] = [];
  #at = 0;
  #items = 0;

  constructor(bytes: Uint8Array, limits: StateLimits) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#limits = limits;
  }

  run(): ScanFault | undefined {
    do {
      const fault = this.#item();
      if (fault !== undefined) return fault;
      this.#closeFull();
    } while (this.#open.length > 0);
    return this.#at === this.#bytes.length
      ? undefined
      : this.#fault("malformed", "bytes follow the value");
  }

  #item(): ScanFault | undefined {
    const start = this.#at;
    const initial = this.#bytes[start];
    if (initial === undefined) return this.#fault("malformed", "the value is cut off");
    if (++this.#items > this.#limits.items) {
      return this.#fault("limit", `more than ${this.#limits.items} values`);
    }
    const major = initial >>> 5;
    const key = this.#takesKey();
    if (key && major !== MAJOR.text) return this.#fault("malformed", "a map key is not text");
    if (major === MAJOR.simple) return this.#simple(initial & 31);
    const argument = this.#argument(initial & 31);
    if (argument === undefined) {
      return this.#fault("malformed", "an indefinite, reserved or cut-off length", start);
    }
    if (major === MAJOR.tag) return this.#fault("malformed", "a tag", start);
    if (major === MAJOR.bytes || major === MAJOR.text) return this.#string(argument, key);
    if (major === MAJOR.list || major === MAJOR.map) return this.#nest(argument, major);
    return undefined;
  }

  /** Also counts the item off its list or map. */
  #takesKey(): boolean {
    const top = this.#open.length - 1;
    if (top < 0) return false;
    const left = this.#open[top] ?? 0;
    this.#open[top] = left - 1;
    return this.#isMap[top] === true && left % 2 === 0;
  }

  #closeFull(): void {
    while (this.#open.length > 0 && this.#open[this.#open.length - 1] === 0) {
      this.#open.pop();
      this.#isMap.pop();
    }
  }

  /** Reads an argument (RFC 8949 3) and goes behind it. Beyond 2^53 it is only ever "too long". */
  #argument(info: number): number | undefined {
    const at = this.#at + 1;
    const size = info < 24 ? 0 : 1 << (info - 24);
    if (info > 27 || at + size > this.#bytes.length) return undefined;
    this.#at = at + size;
    if (size === 0) return info;
    if (size === 1) return this.#view.getUint8(at);
    if (size === 2) return this.#view.getUint16(at);
    if (size === 4) return this.#view.getUint32(at);
    return this.#view.getUint32(at) * 2 ** 32 + this.#view.getUint32(at + 4);
  }

  #simple(info: number): ScanFault | undefined {
    if (info >= 20 && info <= 22) {
      this.#at += 1;
      return undefined;
    }
    if (info < 25 || info > 27) {
      return this.#fault("malformed", "a simple value that is not false, true or null");
    }
    const size = 1 + (1 << (info - 24));
    if (this.#at + size > this.#bytes.length) {
      return this.#fault("malformed", "a number is cut off");
    }
    this.#at += size;
    return undefined;
  }

  #string(length: number, key: boolean): ScanFault | undefined {
    if (length > this.#bytes.length - this.#at) {
      return this.#fault("malformed", `a string of ${length} bytes is cut off`);
    }
    // As a property this name would reach the prototype of whoever copies the value.
    if (key && length === PROTO_KEY.length && PROTO_KEY.every((b, i) => this.#byte(i) === b)) {
      return this.#fault("malformed", "the key __proto__");
    }
    this.#at += length;
    return undefined;
  }

  #byte(ahead: number): number | undefined {
    return this.#bytes[this.#at + ahead];
  }

  #nest(count: number, major: number): ScanFault | undefined {
    const items = major === MAJOR.map ? 2 * count : count;
    // Each item takes a byte at least.
    if (items > this.#bytes.length - this.#at) {
      return this.#fault("malformed", `a list or map of ${count} entries is cut off`);
    }
    if (this.#open.length >= this.#limits.depth) {
      return this.#fault("limit", `nested deeper than ${this.#limits.depth}`);
    }
    this.#open.push(items);
    this.#isMap.push(major === MAJOR.map);
    return undefined;
  }

  #fault(kind: ScanFault["kind"], reason: string, at: number = this.#at): ScanFault {
    return { kind, reason, at };
  }
}
