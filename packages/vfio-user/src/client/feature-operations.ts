import type {
  DmaLoggingStart,
  IovaRange,
  MigrationCapabilities,
  MigrationState,
  PrecopyInfo,
} from "@vfmig/core";
import { COMMAND } from "../codec/commands.ts";
import {
  DEVICE_FEATURE,
  FEATURE,
  FEATURE_FLAG,
  writeFeatureHead,
} from "../codec/device-feature.ts";
import { bitmapBytes } from "../codec/dirty-bitmap.ts";
import {
  LOGGING_REPORT,
  LOGGING_START,
  readGrantedPageSize,
  writeLoggingReport,
  writeLoggingStart,
} from "../codec/dma-logging.ts";
import {
  MIG_DATA,
  MIG_STATE,
  PRECOPY_INFO,
  readMigDataSize,
  readMigrationFlags,
  readMigrationState,
  readPrecopyInfo,
  U64_BYTES,
  writeMigData,
  writeMigrationState,
} from "../codec/migration.ts";
import { needPayload, readU64 } from "../codec/wire.ts";
import type { Message } from "../transport/message.ts";
import { nothing, type Operation } from "./operation.ts";
import type { RequestBuffer } from "../exchange/request-buffer.ts";

const { BYTES } = DEVICE_FEATURE;

/** A DEVICE_FEATURE whose data are written after the head; `replyBytes` of data may come back. */
function feature<T>(
  index: number,
  operation: number,
  what: string,
  replyBytes: number,
  write: (out: RequestBuffer, at: number) => number,
  read: (message: Message, at: number, length: number) => T,
): Operation<T> {
  return {
    command: COMMAND.DEVICE_FEATURE,
    what,
    write(out) {
      const size = BYTES + write(out, out.at + BYTES);
      writeFeatureHead(out.view, out.at, Math.max(size, BYTES + replyBytes), index, operation);
      return size;
    },
    read(message) {
      needPayload(`reply to ${what}`, message.length, BYTES);
      return read(message, message.at + BYTES, message.length - BYTES);
    },
  };
}

export function probeFeature(index: number, operation: number): Operation<void> {
  const flags = operation | FEATURE_FLAG.PROBE;
  return feature(index, flags, `probe of feature ${index}`, 0, () => 0, nothing);
}

export function getMigrationFlags(): Operation<MigrationCapabilities | undefined> {
  return feature(
    FEATURE.MIGRATION,
    FEATURE_FLAG.GET,
    "feature MIGRATION",
    U64_BYTES,
    () => 0,
    ({ view }, at, length) => readMigrationFlags(view, at, length),
  );
}

export function getMigrationState(): Operation<MigrationState> {
  return feature(
    FEATURE.MIG_DEVICE_STATE,
    FEATURE_FLAG.GET,
    "feature MIG_DEVICE_STATE",
    MIG_STATE.BYTES,
    () => 0,
    ({ view }, at, length) => readMigrationState(view, at, length),
  );
}

export function setMigrationState(state: MigrationState): Operation<MigrationState> {
  return feature(
    FEATURE.MIG_DEVICE_STATE,
    FEATURE_FLAG.SET,
    `state change to ${state}`,
    MIG_STATE.BYTES,
    (out, at) => {
      writeMigrationState(out.view, at, state);
      return MIG_STATE.BYTES;
    },
    ({ view }, at, length) => readMigrationState(view, at, length),
  );
}

export function getDataSize(): Operation<number> {
  return feature(
    FEATURE.MIG_DATA_SIZE,
    FEATURE_FLAG.GET,
    "feature MIG_DATA_SIZE",
    U64_BYTES,
    () => 0,
    ({ view }, at, length) => {
      needPayload("reply to feature MIG_DATA_SIZE", length, U64_BYTES);
      return readU64(view, at);
    },
  );
}

export function getPrecopyInfo(): Operation<PrecopyInfo> {
  return {
    command: COMMAND.MIG_GET_PRECOPY_INFO,
    write(out) {
      out.bytes.fill(0, out.at, out.at + PRECOPY_INFO.BYTES);
      out.view.setUint32(out.at + PRECOPY_INFO.ARGSZ, PRECOPY_INFO.BYTES, true);
      return PRECOPY_INFO.BYTES;
    },
    read: ({ view, at, length }) => readPrecopyInfo(view, at, length),
  };
}

/** Reads into `into`; gives the bytes that came. */
export function readMigrationData(into: Uint8Array): Operation<number> {
  return {
    command: COMMAND.MIG_DATA_READ,
    what: `${into.length} bytes`,
    write(out) {
      writeMigData(out.view, out.at, MIG_DATA.BYTES + into.length, into.length);
      return MIG_DATA.BYTES;
    },
    read(message) {
      const { view, at, length, bytes } = message;
      const size = readMigDataSize(view, at, length, "reply to VFIO_USER_MIG_DATA_READ");
      if (size > into.length) throw new Error(`${size} bytes came for ${into.length}`);
      into.set(bytes.subarray(at + MIG_DATA.DATA, at + MIG_DATA.DATA + size));
      return size;
    },
  };
}

export function writeMigrationData(from: Uint8Array): Operation<void> {
  return {
    command: COMMAND.MIG_DATA_WRITE,
    what: `${from.length} bytes`,
    write(out) {
      out.reserve(MIG_DATA.BYTES + from.length);
      writeMigData(out.view, out.at, MIG_DATA.BYTES + from.length, from.length);
      out.bytes.set(from, out.at + MIG_DATA.DATA);
      return MIG_DATA.BYTES + from.length;
    },
    read: nothing,
  };
}

/** Gives the granted page size. */
export function startLogging(request: DmaLoggingStart): Operation<number> {
  const bytes = LOGGING_START.BYTES + request.ranges.length * LOGGING_START.RANGE_BYTES;
  return feature(
    FEATURE.DMA_LOGGING_START,
    FEATURE_FLAG.SET,
    "feature DMA_LOGGING_START",
    bytes,
    (out, at) => writeLoggingStart(out.view, at, request),
    ({ view }, at, length) => readGrantedPageSize(view, at, length),
  );
}

export function stopLogging(): Operation<void> {
  const { DMA_LOGGING_STOP } = FEATURE;
  return feature(
    DMA_LOGGING_STOP,
    FEATURE_FLAG.SET,
    "feature DMA_LOGGING_STOP",
    0,
    () => 0,
    nothing,
  );
}

/** Merges the bits of the range into `bitmap`, from its first byte on. */
export function reportLogging(
  range: IovaRange,
  pageSize: number,
  bitmap: Uint8Array,
): Operation<void> {
  const wanted = bitmapBytes(range.size, pageSize);
  return feature(
    FEATURE.DMA_LOGGING_REPORT,
    FEATURE_FLAG.GET,
    "feature DMA_LOGGING_REPORT",
    LOGGING_REPORT.BYTES + wanted,
    (out, at) => writeLoggingReport(out.view, at, range, pageSize),
    ({ bytes }, at, length) => {
      needPayload("reply to feature DMA_LOGGING_REPORT", length, LOGGING_REPORT.BYTES + wanted);
      const from = at + LOGGING_REPORT.BITMAP;
      const count = Math.min(wanted, bitmap.length);
      for (let i = 0; i < count; i += 1) {
        const bits = bytes[from + i] ?? 0;
        if (bits !== 0) bitmap[i] = (bitmap[i] ?? 0) | bits;
      }
    },
  );
}
