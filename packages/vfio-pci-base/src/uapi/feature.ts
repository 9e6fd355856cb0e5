import type { DmaLoggingStart, IovaRange } from "@vfmig/core";
import { sized, struct, wide, type Struct } from "./struct.ts";

/** `struct vfio_device_feature`: the feature's own data follow at 8. */
export const FEATURE_HEAD = { FLAGS: 4, DATA: 8 } as const;
export const FEATURE_FLAG = { GET: 0x1_0000, SET: 0x2_0000, PROBE: 0x4_0000 } as const;

/** `struct vfio_device_feature_dma_logging_control`, `..._range` and `..._report`, from the data on. */
export const LOGGING = {
  CONTROL_BYTES: 24,
  RANGES_POINTER: 16,
  RANGE_BYTES: 16,
  REPORT_BYTES: 32,
  BITMAP_POINTER: 24,
} as const;

/** Most ranges that one START takes (`LOG_MAX_RANGES`, `drivers/vfio/vfio_main.c`). */
export const LOGGING_RANGES_MAX = 256;

export function featureRequest(id: number, flags: number, dataBytes: number): Struct {
  const request = sized(FEATURE_HEAD.DATA + dataBytes);
  request.view.setUint32(FEATURE_HEAD.FLAGS, (id | flags) >>> 0, true);
  return request;
}

/** Flags of `struct vfio_device_feature_migration`. */
export const MIGRATION_FLAG = { STOP_COPY: 1, P2P: 2, PRE_COPY: 4 } as const;

/** `struct vfio_device_feature_mig_state`, from the data on. */
export const MIG_STATE_BYTES = 8;

export interface KernelMigrationState {
  readonly state: number;
  /** -1 where no session was opened. */
  readonly dataFd: number;
}

export function readMigrationState({ view }: Struct): KernelMigrationState {
  return {
    state: view.getUint32(FEATURE_HEAD.DATA, true),
    dataFd: view.getInt32(FEATURE_HEAD.DATA + 4, true),
  };
}

/** `struct vfio_precopy_info`; flag 1 says that the figures started anew. */
export const PRECOPY = { INITIAL: 8, DIRTY: 16, BYTES: 24, REINIT: 1 } as const;

export function readPrecopyInfo({ view }: Struct): {
  readonly initialBytes: number;
  readonly dirtyBytes: number;
  readonly reinit: boolean;
} {
  return {
    initialBytes: wide(view, PRECOPY.INITIAL),
    dirtyBytes: wide(view, PRECOPY.DIRTY),
    reinit: (view.getUint32(4, true) & PRECOPY.REINIT) !== 0,
  };
}

/** The data of DMA_LOGGING_START, and the ranges to which its pointer at {@link LOGGING} leads. */
export function writeLoggingControl(
  { view }: Struct,
  { pageSize, ranges }: DmaLoggingStart,
): Uint8Array {
  const at = FEATURE_HEAD.DATA;
  view.setBigUint64(at, BigInt(pageSize), true);
  view.setUint32(at + 8, ranges.length, true);
  const list = struct(ranges.length * LOGGING.RANGE_BYTES);
  for (const [i, { iova, size }] of ranges.entries()) {
    list.view.setBigUint64(i * LOGGING.RANGE_BYTES, iova, true);
    list.view.setBigUint64(i * LOGGING.RANGE_BYTES + 8, size, true);
  }
  return list.bytes;
}

export function writeLoggingReport(
  { view }: Struct,
  { iova, size }: IovaRange,
  pageSize: number,
): void {
  const at = FEATURE_HEAD.DATA;
  view.setBigUint64(at, iova, true);
  view.setBigUint64(at + 8, size, true);
  view.setBigUint64(at + 16, BigInt(pageSize), true);
}
