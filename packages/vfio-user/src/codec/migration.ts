import { MIGRATION_STATE } from "@vfmig/core";
import type { MigrationCapabilities, MigrationState, PrecopyInfo } from "@vfmig/core";
import { refusal } from "./errno.ts";
import { needArgsz, needPayload, readU64, writeU64 } from "./wire.ts";

/** Data of feature MIG_DEVICE_STATE, in bytes. */
export const MIG_STATE = { DEVICE_STATE: 0, DATA_FD: 4, BYTES: 8 } as const;
/** `VFIO_USER_MIG_DATA_READ` and `_WRITE`: offsets in the payload, in bytes. */
export const MIG_DATA = { ARGSZ: 0, SIZE: 4, DATA: 8, BYTES: 8 } as const;
/** Command 19 of QEMU's migration branch: offsets in the payload, in bytes. */
export const PRECOPY_INFO = {
  ARGSZ: 0,
  FLAGS: 4,
  INITIAL_BYTES: 8,
  DIRTY_BYTES: 16,
  BYTES: 24,
} as const;

const MIGRATION_FLAG = { STOP_COPY: 1, P2P: 2, PRE_COPY: 4 } as const;
/** Bytes of the data of features MIGRATION and MIG_DATA_SIZE. */
export const U64_BYTES = 8;
const PRECOPY_REINIT = 1;

const STATES: readonly MigrationState[] = [
  "error",
  "stop",
  "running",
  "stop-copy",
  "resuming",
  "running-p2p",
  "pre-copy",
  "pre-copy-p2p",
];
const stateNames = new Map(STATES.map((state) => [MIGRATION_STATE[state] as number, state]));

export function writeMigrationFlags(
  view: DataView,
  at: number,
  capabilities: MigrationCapabilities,
): void {
  const flags =
    MIGRATION_FLAG.STOP_COPY |
    (capabilities.p2p ? MIGRATION_FLAG.P2P : 0) |
    (capabilities.preCopy ? MIGRATION_FLAG.PRE_COPY : 0);
  writeU64(view, at, flags);
}

/** Undefined where the device lacks STOP_COPY, without which there is no migration. */
export function readMigrationFlags(
  view: DataView,
  at: number,
  length: number,
): MigrationCapabilities | undefined {
  needPayload("reply to feature MIGRATION", length, U64_BYTES);
  const flags = view.getUint32(at, true);
  if ((flags & MIGRATION_FLAG.STOP_COPY) === 0) return undefined;
  return {
    p2p: (flags & MIGRATION_FLAG.P2P) !== 0,
    preCopy: (flags & MIGRATION_FLAG.PRE_COPY) !== 0,
  };
}

/** `data_fd` is unused over vfio-user, where data goes by messages; -1 as the kernel has it for none. */
export function writeMigrationState(view: DataView, at: number, state: MigrationState): void {
  view.setUint32(at + MIG_STATE.DEVICE_STATE, MIGRATION_STATE[state], true);
  view.setInt32(at + MIG_STATE.DATA_FD, -1, true);
}

/** @throws VfmigError `ERR_VFMIG_VFIO_USER_REQUEST` for a number that is no state */
export function readMigrationState(view: DataView, at: number, length: number): MigrationState {
  needPayload("feature MIG_DEVICE_STATE", length, 4);
  const value = view.getUint32(at + MIG_STATE.DEVICE_STATE, true);
  const state = stateNames.get(value);
  if (state === undefined) {
    throw refusal("EINVAL", `MIG_DEVICE_STATE: ${value} is no migration state`, { value });
  }
  return state;
}

export function writeMigData(view: DataView, at: number, argsz: number, size: number): void {
  view.setUint32(at + MIG_DATA.ARGSZ, argsz, true);
  view.setUint32(at + MIG_DATA.SIZE, size, true);
}

/** Bytes that a MIG_DATA_READ asks for, at most `limit`. A request may be padded (QEMU's branch does). */
export function readMigDataRequest(
  view: DataView,
  at: number,
  length: number,
  limit: number,
): number {
  needPayload("VFIO_USER_MIG_DATA_READ", length, MIG_DATA.BYTES);
  const size = view.getUint32(at + MIG_DATA.SIZE, true);
  const argsz = view.getUint32(at + MIG_DATA.ARGSZ, true);
  needArgsz("VFIO_USER_MIG_DATA_READ", argsz, MIG_DATA.BYTES + size);
  if (size > limit) {
    throw refusal("EINVAL", `MIG_DATA_READ of ${size} bytes; the limit is ${limit}`, {
      size,
      limit,
    });
  }
  return size;
}

/** Bytes that came with a MIG_DATA_WRITE, or with the reply to a MIG_DATA_READ. */
export function readMigDataSize(view: DataView, at: number, length: number, what: string): number {
  needPayload(what, length, MIG_DATA.BYTES);
  const size = view.getUint32(at + MIG_DATA.SIZE, true);
  needPayload(what, length, MIG_DATA.BYTES + size);
  return size;
}

export function writePrecopyInfo(view: DataView, at: number, info: PrecopyInfo): number {
  view.setUint32(at + PRECOPY_INFO.ARGSZ, PRECOPY_INFO.BYTES, true);
  view.setUint32(at + PRECOPY_INFO.FLAGS, info.reinit ? PRECOPY_REINIT : 0, true);
  writeU64(view, at + PRECOPY_INFO.INITIAL_BYTES, info.initialBytes);
  writeU64(view, at + PRECOPY_INFO.DIRTY_BYTES, info.dirtyBytes);
  return PRECOPY_INFO.BYTES;
}

export function readPrecopyInfo(view: DataView, at: number, length: number): PrecopyInfo {
  needPayload("VFIO_USER_MIG_GET_PRECOPY_INFO", length, PRECOPY_INFO.BYTES);
  return {
    initialBytes: readU64(view, at + PRECOPY_INFO.INITIAL_BYTES),
    dirtyBytes: readU64(view, at + PRECOPY_INFO.DIRTY_BYTES),
    reinit: (view.getUint32(at + PRECOPY_INFO.FLAGS, true) & PRECOPY_REINIT) !== 0,
  };
}
