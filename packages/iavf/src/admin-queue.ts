/** Bytes of one admin queue descriptor. */
export const AQ_DESCRIPTOR_SIZE = 32;

/** Largest buffer of one descriptor, in bytes; what Linux iavf posts. */
export const AQ_BUFFER_SIZE = 4096;

/** A buffer longer than this needs the LB flag. */
export const AQ_LARGE_BUFFER = 512;

/** Byte offsets inside a descriptor. */
export const AQ_FIELD = {
  FLAGS: 0,
  OPCODE: 2,
  DATA_LENGTH: 4,
  RETURN_VALUE: 6,
  COOKIE_HIGH: 8,
  COOKIE_LOW: 12,
  PARAM0: 16,
  PARAM1: 20,
  ADDRESS_HIGH: 24,
  ADDRESS_LOW: 28,
} as const;

export const AQ_FLAG = {
  DD: 0x0001,
  CMP: 0x0002,
  ERR: 0x0004,
  VFE: 0x0008,
  /** The buffer is longer than 512 bytes. */
  LB: 0x0200,
  /** The device reads the buffer. */
  RD: 0x0400,
  VFC: 0x0800,
  BUF: 0x1000,
  /** No interrupt on completion. */
  SI: 0x2000,
  EI: 0x4000,
  FE: 0x8000,
} as const;

export const AQ_OPCODE = {
  QUEUE_SHUTDOWN: 0x0003,
  SEND_TO_PF: 0x0801,
  SEND_TO_VF: 0x0802,
  SEND_TO_PEER: 0x0803,
  SET_RSS_KEY: 0x0b02,
  SET_RSS_LUT: 0x0b03,
  GET_RSS_KEY: 0x0b04,
  GET_RSS_LUT: 0x0b05,
} as const;

/** Admin queue return codes, in the low byte of the return value. */
export const AQ_CODE = {
  OK: 0,
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EIO: 5,
  EAGAIN: 8,
  ENOMEM: 9,
  EACCES: 10,
  EBUSY: 12,
  EEXIST: 13,
  EINVAL: 14,
  ENOSPC: 16,
  ENOSYS: 17,
  EMODE: 21,
} as const;

/** One descriptor, decoded. `address` is a number below 2^64; check it before use. */
export interface AqDescriptor {
  readonly flags: number;
  readonly opcode: number;
  readonly dataLength: number;
  readonly returnValue: number;
  /** The virtchnl opcode, in the mailbox's messages. */
  readonly cookieHigh: number;
  /** The virtchnl status (signed), in the mailbox's messages. */
  readonly cookieLow: number;
  readonly param0: number;
  readonly param1: number;
  readonly address: number;
}

/** Reads the descriptor at `offset` (bytes) of `data`. */
export function readAqDescriptor(data: DataView, offset: number): AqDescriptor {
  return {
    flags: data.getUint16(offset + AQ_FIELD.FLAGS, true),
    opcode: data.getUint16(offset + AQ_FIELD.OPCODE, true),
    dataLength: data.getUint16(offset + AQ_FIELD.DATA_LENGTH, true),
    returnValue: data.getUint16(offset + AQ_FIELD.RETURN_VALUE, true),
    cookieHigh: data.getUint32(offset + AQ_FIELD.COOKIE_HIGH, true),
    cookieLow: data.getInt32(offset + AQ_FIELD.COOKIE_LOW, true),
    param0: data.getUint32(offset + AQ_FIELD.PARAM0, true),
    param1: data.getUint32(offset + AQ_FIELD.PARAM1, true),
    address:
      data.getUint32(offset + AQ_FIELD.ADDRESS_HIGH, true) * 0x1_0000_0000 +
      data.getUint32(offset + AQ_FIELD.ADDRESS_LOW, true),
  };
}

/** Writes all 32 bytes; the flags go last, since DD hands the descriptor over. */
export function writeAqDescriptor(data: DataView, offset: number, value: AqDescriptor): void {
  data.setUint16(offset + AQ_FIELD.OPCODE, value.opcode, true);
  data.setUint16(offset + AQ_FIELD.DATA_LENGTH, value.dataLength, true);
  data.setUint16(offset + AQ_FIELD.RETURN_VALUE, value.returnValue, true);
  data.setUint32(offset + AQ_FIELD.COOKIE_HIGH, value.cookieHigh, true);
  data.setInt32(offset + AQ_FIELD.COOKIE_LOW, value.cookieLow, true);
  data.setUint32(offset + AQ_FIELD.PARAM0, value.param0, true);
  data.setUint32(offset + AQ_FIELD.PARAM1, value.param1, true);
  data.setUint32(
    offset + AQ_FIELD.ADDRESS_HIGH,
    Math.floor(value.address / 0x1_0000_0000) >>> 0,
    true,
  );
  data.setUint32(offset + AQ_FIELD.ADDRESS_LOW, value.address >>> 0, true);
  data.setUint16(offset + AQ_FIELD.FLAGS, value.flags, true);
}

/** The flags of a request (0x0801) with a body of `length` bytes. */
export function sendFlags(length: number): number {
  if (length === 0) {
    return AQ_FLAG.SI;
  }
  return AQ_FLAG.SI | AQ_FLAG.BUF | AQ_FLAG.RD | (length > AQ_LARGE_BUFFER ? AQ_FLAG.LB : 0);
}

/** What a receive descriptor holds when it is posted with a buffer of `length` bytes at `address`. */
export function postedArqDescriptor(address: number, length: number): AqDescriptor {
  return {
    flags: AQ_FLAG.BUF | (length > AQ_LARGE_BUFFER ? AQ_FLAG.LB : 0),
    opcode: 0,
    dataLength: length,
    returnValue: 0,
    cookieHigh: 0,
    cookieLow: 0,
    param0: 0,
    param1: 0,
    address,
  };
}

/** A 64-bit address split into the halves that registers and descriptors take. */
export function splitAddress(address: number): { readonly low: number; readonly high: number } {
  return { low: address >>> 0, high: Math.floor(address / 0x1_0000_0000) >>> 0 };
}

/** The halves joined; exact below 2^53. */
export function joinAddress(low: number, high: number): number {
  return (high >>> 0) * 0x1_0000_0000 + (low >>> 0);
}
