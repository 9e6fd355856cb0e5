import { refusal } from "./errno.ts";
import { needPayload } from "./wire.ts";

/** `VFIO_USER_DEVICE_FEATURE`: offsets in the payload, in bytes. */
export const DEVICE_FEATURE = { ARGSZ: 0, FLAGS: 4, DATA: 8, BYTES: 8 } as const;

/** Feature indexes (`linux/vfio.h`). */
export const FEATURE = {
  MIGRATION: 1,
  MIG_DEVICE_STATE: 2,
  DMA_LOGGING_START: 6,
  DMA_LOGGING_STOP: 7,
  DMA_LOGGING_REPORT: 8,
  MIG_DATA_SIZE: 9,
} as const;

export const FEATURE_FLAG = {
  INDEX_MASK: 0xffff,
  GET: 0x1_0000,
  SET: 0x2_0000,
  PROBE: 0x4_0000,
} as const;

export interface FeatureHead {
  readonly argsz: number;
  readonly feature: number;
  readonly get: boolean;
  readonly set: boolean;
  readonly probe: boolean;
}

export function writeFeatureHead(
  view: DataView,
  at: number,
  argsz: number,
  feature: number,
  operation: number,
): void {
  view.setUint32(at + DEVICE_FEATURE.ARGSZ, argsz, true);
  view.setUint32(at + DEVICE_FEATURE.FLAGS, feature | operation, true);
}

/**
 * Reads the head and checks its flags: GET or SET, or PROBE with any of them.
 * @throws VfmigError `ERR_VFMIG_VFIO_USER_REQUEST`
 */
export function readFeatureHead(view: DataView, at: number, length: number): FeatureHead {
  needPayload("VFIO_USER_DEVICE_FEATURE", length, DEVICE_FEATURE.BYTES);
  const argsz = view.getUint32(at + DEVICE_FEATURE.ARGSZ, true);
  const flags = view.getUint32(at + DEVICE_FEATURE.FLAGS, true);
  const known = FEATURE_FLAG.INDEX_MASK | FEATURE_FLAG.GET | FEATURE_FLAG.SET | FEATURE_FLAG.PROBE;
  const get = (flags & FEATURE_FLAG.GET) !== 0;
  const set = (flags & FEATURE_FLAG.SET) !== 0;
  const probe = (flags & FEATURE_FLAG.PROBE) !== 0;
  if (flags > known || (!probe && get === set) || argsz < DEVICE_FEATURE.BYTES) {
    throw refusal(
      "EINVAL",
      `DEVICE_FEATURE: flags 0x${flags.toString(16)} with argsz ${argsz} are no GET, SET or PROBE`,
      { flags, argsz },
    );
  }
  return { argsz, feature: flags & FEATURE_FLAG.INDEX_MASK, get, set, probe };
}
