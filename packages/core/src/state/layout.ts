/**
 * The device-state format, version 1. All integers are little endian.
 *
 * ```
 * stream  = preamble record(header) record* record(end)
 * preamble: magic 8 bytes, format version u32
 * record:   type u16, flags u16, sequence u32, length u32, crc u32, payload (length bytes)
 * ```
 *
 * `sequence` is the record's index in the stream, the header being 0. `crc` is CRC-32 (ISO-HDLC, as in
 * zlib) over type, flags, sequence, length and payload. Payloads are CBOR in the core deterministic
 * encoding of RFC 8949 4.2.1, restricted to what `cbor-scan.ts` lets pass. The end record holds the
 * number of records and of bytes before it.
 */
export const STATE_MAGIC: readonly number[] = [0x89, 0x56, 0x46, 0x4d, 0x49, 0x47, 0x0d, 0x0a];

/** Version of the framing; a plugin's own state version is in the header. */
export const STATE_FORMAT_VERSION = 1;

export const PREAMBLE = { magic: 0, version: 8, size: 12 } as const;

export const FRAME = { type: 0, flags: 2, sequence: 4, length: 8, crc: 12, size: 16 } as const;

/** The format's own record types. 3 to 15 are kept for later versions of it. */
export const RECORD_TYPE = { header: 1, end: 2, firstOfPlugin: 16, last: 0xffff } as const;

/** A reader that does not know the type refuses the stream. */
export const FLAG_MANDATORY = 0x0001;

/** Bounds that are checked before anything is allocated. */
export interface StateLimits {
  /** Payload bytes of one record. */
  readonly recordBytes: number;
  /** Bytes of the whole stream. */
  readonly streamBytes: number;
  /** Records, the header and the end included. */
  readonly records: number;
  /** Nesting of lists and maps in a payload. */
  readonly depth: number;
  /** Values and keys in one payload. */
  readonly items: number;
}

/**
 * Defaults: a reader holds at most one record's payload (4 MiB) and its decoded values at a time.
 */
export const DEFAULT_STATE_LIMITS: StateLimits = {
  recordBytes: 4 * 1024 * 1024,
  streamBytes: 256 * 1024 * 1024,
  records: 65_536,
  depth: 32,
  items: 65_536,
};
