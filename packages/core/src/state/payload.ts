import { decode, encode, rfc8949EncodeOptions } from "cborg";
import { VfmigError } from "../errors/vfmig-error.ts";
import { scanPayload } from "./cbor-scan.ts";
import type { StateLimits } from "./layout.ts";
import { recordError, type RecordPlace } from "./record-place.ts";
import { firstDifference } from "./value-compare.ts";

const ENCODE = { ...rfc8949EncodeOptions, ignoreUndefinedProperties: true } as const;

const DECODE = {
  strict: true,
  allowIndefinite: false,
  allowUndefined: false,
  allowInfinity: false,
  allowNaN: false,
  allowBigInt: true,
  rejectDuplicateMapKeys: true,
} as const;

/**
 * Decodes one payload. Integers beyond 2^53 come as `bigint`, byte strings as `Uint8Array` copies.
 * @throws VfmigError `ERR_VFMIG_STATE_PAYLOAD`, `ERR_VFMIG_STATE_LIMIT`
 */
export function decodePayload(bytes: Uint8Array, limits: StateLimits, place: RecordPlace): unknown {
  const fault = scanPayload(bytes, limits);
  if (fault !== undefined) {
    const code = fault.kind === "limit" ? "ERR_VFMIG_STATE_LIMIT" : "ERR_VFMIG_STATE_PAYLOAD";
    throw recordError(code, place, `payload byte ${fault.at}: ${fault.reason}`, {
      details: { at: fault.at },
    });
  }
  let value: unknown;
  let again: Uint8Array;
  try {
    value = decode(bytes, DECODE);
    again = encode(value, ENCODE);
  } catch (cause) {
    throw recordError("ERR_VFMIG_STATE_PAYLOAD", place, `payload: ${messageOf(cause)}`, { cause });
  }
  const at = firstUnequalByte(bytes, again);
  if (at !== undefined) {
    throw recordError(
      "ERR_VFMIG_STATE_PAYLOAD",
      place,
      `payload byte ${at}: not the deterministic encoding of its value ` +
        "(key order, duplicate key, length of a number, or text that is not UTF-8)",
      { details: { at } },
    );
  }
  return value;
}

/**
 * Encodes one value, and proves that it decodes to the same again, so that a plugin learns on the
 * saving side what the loading side could not take.
 * @throws VfmigError `ERR_VFMIG_STATE_PAYLOAD`, `ERR_VFMIG_STATE_LIMIT`
 */
export function encodePayload(
  value: unknown,
  limits: StateLimits,
  place: RecordPlace,
): { readonly bytes: Uint8Array; readonly decoded: unknown } {
  let bytes: Uint8Array;
  try {
    bytes = encode(value, ENCODE);
  } catch (cause) {
    throw recordError("ERR_VFMIG_STATE_PAYLOAD", place, `value: ${messageOf(cause)}`, { cause });
  }
  if (bytes.length > limits.recordBytes) {
    throw recordError(
      "ERR_VFMIG_STATE_LIMIT",
      place,
      `${bytes.length} bytes of payload; the limit is ${limits.recordBytes}. Use several records`,
      { details: { length: bytes.length, limit: limits.recordBytes } },
    );
  }
  const decoded = decodePayload(bytes, limits, place);
  const field = firstDifference(value, decoded);
  if (field !== undefined) {
    throw recordError(
      "ERR_VFMIG_STATE_PAYLOAD",
      place,
      `field ${field} would not come back as it is; use plain objects, lists, well-formed text, ` +
        "numbers, 64-bit bigints, booleans, null and Uint8Array",
      { details: { field } },
    );
  }
  return { bytes, decoded };
}

function messageOf(cause: unknown): string {
  if (VfmigError.is(cause)) return cause.message;
  return cause instanceof Error ? cause.message : String(cause);
}

function firstUnequalByte(left: Uint8Array, right: Uint8Array): number | undefined {
  const length = Math.min(left.length, right.length);
  for (let i = 0; i < length; i++) if (left[i] !== right[i]) return i;
  return left.length === right.length ? undefined : length;
}
