import type { IrqInfo } from "@vfmig/core";
import { refusal } from "./errno.ts";
import { exactPayload, needArgsz, needPayload } from "./wire.ts";

/** `VFIO_USER_DEVICE_SET_IRQS`: offsets in the payload, in bytes. */
export const SET_IRQS = {
  ARGSZ: 0,
  FLAGS: 4,
  INDEX: 8,
  START: 12,
  COUNT: 16,
  DATA: 20,
  BYTES: 20,
} as const;

const DATA_FLAG = { none: 1, bool: 2, event: 4 } as const;
const ACTION_FLAG = { mask: 8, unmask: 16, trigger: 32 } as const;
const DATA_BITS = 0x7;
const ACTION_BITS = 0x38;

export type IrqDataKind = keyof typeof DATA_FLAG;
export type IrqAction = keyof typeof ACTION_FLAG;

/** A request without what rides beside it: the fds of `event`. */
export interface SetIrqsRequest {
  readonly index: number;
  readonly start: number;
  readonly count: number;
  readonly action: IrqAction;
  readonly kind: IrqDataKind;
  /** One byte a vector; empty where the kind is not `bool`. */
  readonly values: Uint8Array;
}

export function writeSetIrqs(
  view: DataView,
  bytes: Uint8Array,
  at: number,
  request: SetIrqsRequest,
): number {
  const total = SET_IRQS.BYTES + request.values.length;
  view.setUint32(at + SET_IRQS.ARGSZ, total, true);
  const flags = DATA_FLAG[request.kind] | ACTION_FLAG[request.action];
  view.setUint32(at + SET_IRQS.FLAGS, flags, true);
  view.setUint32(at + SET_IRQS.INDEX, request.index, true);
  view.setUint32(at + SET_IRQS.START, request.start, true);
  view.setUint32(at + SET_IRQS.COUNT, request.count, true);
  bytes.set(request.values, at + SET_IRQS.DATA);
  return total;
}

function single<K extends string>(
  flags: number,
  table: Readonly<Record<K, number>>,
): K | undefined {
  for (const key in table) if (table[key] === flags) return key;
  return undefined;
}

/**
 * Reads and checks a request against the device's irqs and the number of fds beside it.
 * @throws VfmigError `ERR_VFMIG_VFIO_USER_REQUEST`
 */
export function readSetIrqs(
  view: DataView,
  bytes: Uint8Array,
  at: number,
  length: number,
  irqs: readonly IrqInfo[],
  fds: number,
): SetIrqsRequest {
  needPayload("VFIO_USER_DEVICE_SET_IRQS", length, SET_IRQS.BYTES);
  const flags = view.getUint32(at + SET_IRQS.FLAGS, true);
  const kind = single(flags & DATA_BITS, DATA_FLAG);
  const action = single(flags & ACTION_BITS, ACTION_FLAG);
  if (kind === undefined || action === undefined || flags > (DATA_BITS | ACTION_BITS)) {
    throw refusal(
      "EINVAL",
      `SET_IRQS: flags 0x${flags.toString(16)} are not one data type and one action`,
      {
        flags,
      },
    );
  }
  const index = view.getUint32(at + SET_IRQS.INDEX, true);
  const start = view.getUint32(at + SET_IRQS.START, true);
  const count = view.getUint32(at + SET_IRQS.COUNT, true);
  checkVectors(irqs, index, start, count, kind === "none" && action === "trigger");
  const dataBytes = kind === "bool" ? count : 0;
  needArgsz("VFIO_USER_DEVICE_SET_IRQS", view.getUint32(at, true), SET_IRQS.BYTES + dataBytes);
  exactPayload("VFIO_USER_DEVICE_SET_IRQS", length, SET_IRQS.BYTES + dataBytes);
  if (fds !== 0 && (kind !== "event" || fds !== count)) {
    throw refusal("EINVAL", `SET_IRQS: ${fds} fds came with ${count} vectors of type ${kind}`, {
      fds,
      count,
    });
  }
  const values = bytes.slice(at + SET_IRQS.DATA, at + SET_IRQS.DATA + dataBytes);
  return { index, start, count, action, kind, values };
}

function checkVectors(
  irqs: readonly IrqInfo[],
  index: number,
  start: number,
  count: number,
  mayDisable: boolean,
): void {
  const info = irqs[index];
  if (info === undefined) {
    throw refusal("EINVAL", `SET_IRQS: irq index ${index} is not one of ${irqs.length}`, { index });
  }
  if (count === 0) {
    if (mayDisable && start === 0) return;
    throw refusal("EINVAL", `SET_IRQS: index ${index}: no vectors given`, { index, start });
  }
  // Sums of two u32 are exact in a number, so this cannot wrap.
  if (start + count > info.count) {
    throw refusal(
      "EINVAL",
      `SET_IRQS: vectors ${start} to ${start + count - 1} of index ${index}, which has ${info.count}`,
      { index, start, count, vectors: info.count },
    );
  }
}
