import { bodyError } from "../errors.ts";

/** A little-endian view of a body. */
export function viewOf(body: Uint8Array): DataView {
  return new DataView(body.buffer, body.byteOffset, body.byteLength);
}

/** @throws VfmigError `ERR_VFMIG_VIRTCHNL_BODY` where the body is not exactly `length` bytes long */
export function expectLength(what: string, body: Uint8Array, length: number): DataView {
  if (body.length !== length) {
    throw bodyError(what, `the body has ${body.length} bytes and needs ${length}`, {
      length: body.length,
      expected: length,
    });
  }
  return viewOf(body);
}

/**
 * The element count of a list body: a 16-bit number at `countOffset`, from 1 to `max`, that explains
 * the body's whole length.
 * @throws VfmigError `ERR_VFMIG_VIRTCHNL_BODY`
 */
export function expectCount(
  what: string,
  body: Uint8Array,
  countOffset: number,
  max: number,
  lengthOf: (count: number) => number,
): number {
  if (body.length < countOffset + 2) {
    throw bodyError(what, `the body of ${body.length} bytes ends before its count`, {
      length: body.length,
    });
  }
  const count = viewOf(body).getUint16(countOffset, true);
  if (count < 1 || count > max) {
    throw bodyError(what, `the count ${count} is not between 1 and ${max}`, { count, max });
  }
  expectLength(what, body, lengthOf(count));
  return count;
}

/** Reads a 64-bit address as a number; exact below 2^53, and never equal to a valid one above. */
export function readAddress(data: DataView, offset: number): number {
  return data.getUint32(offset + 4, true) * 0x1_0000_0000 + data.getUint32(offset, true);
}

/** Writes a 64-bit address. */
export function writeAddress(data: DataView, offset: number, address: number): void {
  data.setUint32(offset, address >>> 0, true);
  data.setUint32(offset + 4, Math.floor(address / 0x1_0000_0000) >>> 0, true);
}

/** A MAC address as `aa:bb:cc:dd:ee:ff`. */
export function macToString(mac: Uint8Array): string {
  return Array.from(mac, (byte) => byte.toString(16).padStart(2, "0")).join(":");
}

/** @throws VfmigError `ERR_VFMIG_VIRTCHNL_BODY` where `text` is not six hex pairs joined by colons */
export function macFromString(text: string): Uint8Array {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/iu.test(text)) {
    throw bodyError("MAC address", `"${text}" is not like 02:00:00:00:00:01`, { text });
  }
  return Uint8Array.from(text.split(":"), (pair) => Number.parseInt(pair, 16));
}
