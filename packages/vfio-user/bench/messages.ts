/** Messages of the benchmarks in hex, written without the package's codec. */

/** A header and its payload; `zeros` bytes of data follow, which the C client fills in. */
function hex(command: number, payload: Uint8Array, zeros = 0, flags = 0): string {
  const head = Buffer.alloc(16);
  head.writeUInt16LE(1, 0);
  head.writeUInt16LE(command, 2);
  head.writeUInt32LE(16 + payload.length + zeros, 4);
  head.writeUInt32LE(flags, 8);
  const text = Buffer.concat([head, payload]).toString("hex");
  return zeros > 0 ? `${text}+${zeros}` : text;
}

const u32 = (...values: number[]): Buffer => Buffer.from(Uint32Array.from(values).buffer);
const u64 = (...values: number[]): Buffer =>
  Buffer.from(BigUint64Array.from(values, (value) => BigInt(value)).buffer);
const NO_REPLY = 0x10;
const GET = 0x1_0000;

export const version: string = hex(
  1,
  Buffer.from(
    '\0\0\0\0{"capabilities":{"max_msg_fds":16,"max_data_xfer_size":1048576,"migration":{"pgsize":4096,"max_bitmap_size":1048576}}}\0',
    "latin1",
  ),
);
export const read = (region: number, offset: number, count: number): string =>
  hex(9, Buffer.concat([u64(offset), u32(region, count)]));
export const write = (region: number, offset: number, count: number): string =>
  hex(10, Buffer.concat([u64(offset), u32(region, count)]), count);
export const postedWrite = (region: number, offset: number, count: number): string =>
  hex(10, Buffer.concat([u64(offset), u32(region, count)]), count, NO_REPLY);
export const dmaMap = (iova: number, size: number): string =>
  hex(2, Buffer.concat([u32(32, 3), u64(0, iova, size)]));
export const dmaUnmap = (iova: number, size: number): string =>
  hex(3, Buffer.concat([u32(24, 0), u64(iova, size)]));
/** MSI-X vector 0, by eventfd. */
export const setIrq: string = hex(8, u32(20, 4 | 32, 2, 0, 1));
export const migrationRead = (size: number): string => hex(17, u32(8 + size, size));
export const migrationWrite = (size: number): string => hex(18, u32(8 + size, size), size);
/** The bitmap of `bytes` guest bytes in 4 KiB pages. */
export const dirtyReport = (bytes: number): string =>
  hex(16, Buffer.concat([u32(32 + bytes / 32_768, 8 | GET), u64(0, bytes, 4096)]));
