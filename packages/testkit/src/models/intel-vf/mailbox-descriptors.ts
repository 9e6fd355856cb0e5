import {
  AQ_BUFFER_SIZE,
  AQ_CODE,
  AQ_FIELD,
  AQ_FLAG,
  AQ_LARGE_BUFFER,
  AQ_OPCODE,
  type AqDescriptor,
  readAqDescriptor,
  writeAqDescriptor,
} from "@vfmig/iavf";

/** What the PF says to a VF. */
export interface Message {
  readonly opcode: number;
  readonly status: number;
  readonly body: Uint8Array;
}

/** Writes what comes of a request into its descriptor. */
export function reportRequest(view: DataView): void {
  const descriptor = readAqDescriptor(view, 0);
  const code = codeOf(descriptor);
  const failed = code === AQ_CODE.OK ? 0 : AQ_FLAG.ERR;
  view.setUint16(AQ_FIELD.RETURN_VALUE, code, true);
  view.setUint16(AQ_FIELD.FLAGS, descriptor.flags | AQ_FLAG.DD | AQ_FLAG.CMP | failed, true);
}

/** What the firmware says to a request, before the PF knows of it. */
function codeOf({ flags, opcode, dataLength }: AqDescriptor): number {
  if (opcode === AQ_OPCODE.QUEUE_SHUTDOWN) return AQ_CODE.OK;
  if (opcode !== AQ_OPCODE.SEND_TO_PF) return AQ_CODE.ESRCH;
  const large = dataLength > AQ_LARGE_BUFFER ? AQ_FLAG.LB : 0;
  const wanted = dataLength === 0 ? 0 : AQ_FLAG.BUF | AQ_FLAG.RD | large;
  if (dataLength > AQ_BUFFER_SIZE || (flags & wanted) !== wanted) return AQ_CODE.EINVAL;
  return AQ_CODE.OK;
}

/** Writes a message of `length` bytes into the descriptor of its buffer. */
export function reportMessage(view: DataView, { opcode, status }: Message, length: number): void {
  const large = length > AQ_LARGE_BUFFER ? AQ_FLAG.LB : 0;
  writeAqDescriptor(view, 0, {
    ...readAqDescriptor(view, 0),
    flags: AQ_FLAG.DD | AQ_FLAG.CMP | (length > 0 ? AQ_FLAG.BUF : 0) | large,
    opcode: AQ_OPCODE.SEND_TO_VF,
    dataLength: length,
    returnValue: AQ_CODE.OK,
    cookieHigh: opcode,
    cookieLow: status,
  });
}
