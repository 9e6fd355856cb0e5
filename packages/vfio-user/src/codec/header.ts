/** The message header: offsets in bytes (specification, "Header"). */
export const HEADER = {
  MESSAGE_ID: 0,
  COMMAND: 2,
  MESSAGE_SIZE: 4,
  FLAGS: 8,
  ERROR: 12,
  BYTES: 16,
} as const;

/** Bits of the header's flags. */
export const FLAG = {
  TYPE_MASK: 0xf,
  TYPE_COMMAND: 0x0,
  TYPE_REPLY: 0x1,
  NO_REPLY: 0x10,
  ERROR: 0x20,
} as const;

/** Writes a header at the start of `view`. `size` counts the header. */
export function writeHeader(
  view: DataView,
  id: number,
  command: number,
  size: number,
  flags: number,
  errno: number,
): void {
  view.setUint16(HEADER.MESSAGE_ID, id, true);
  view.setUint16(HEADER.COMMAND, command, true);
  view.setUint32(HEADER.MESSAGE_SIZE, size, true);
  view.setUint32(HEADER.FLAGS, flags, true);
  view.setUint32(HEADER.ERROR, errno, true);
}
