/** Reversed Castagnoli polynomial, RFC 9260 appendix A. */
const POLYNOMIAL = 0x82f63b78;

const TABLE: Uint32Array = buildTable();

function buildTable(): Uint32Array {
  const table = new Uint32Array(256);
  for (let index = 0; index < 256; index++) {
    let value = index;
    for (let bit = 0; bit < 8; bit++) value = (value >>> 1) ^ (value & 1 ? POLYNOMIAL : 0);
    table[index] = value >>> 0;
  }
  return table;
}

/** Offset of the checksum in an SCTP common header. */
const SCTP_CHECKSUM = 8;

/**
 * CRC32c of the SCTP packet `bytes[start, end)`, its checksum field taken as zero. SCTP carries the
 * result least significant byte first.
 */
export function sctpChecksum(bytes: Uint8Array, start: number, end: number): number {
  let crc = 0xffffffff;
  for (let at = start; at < end; at++) {
    const place = at - start;
    const zeroed = place >= SCTP_CHECKSUM && place < SCTP_CHECKSUM + 4;
    crc = TABLE[(crc ^ (zeroed ? 0 : bytes[at]!)) & 0xff]! ^ (crc >>> 8);
  }
  return ~crc >>> 0;
}
