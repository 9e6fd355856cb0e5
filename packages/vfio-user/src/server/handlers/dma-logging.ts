import type { DmaLoggingFacet } from "@vfmig/core";
import {
  DEVICE_FEATURE,
  FEATURE,
  FEATURE_FLAG,
  writeFeatureHead,
  type FeatureHead,
} from "../../codec/device-feature.ts";
import {
  LOGGING_REPORT,
  readLoggingReport,
  readLoggingStart,
  writeLoggingReport,
  writeLoggingStart,
} from "../../codec/dma-logging.ts";
import { refusal } from "../../codec/errno.ts";
import { needArgsz } from "../../codec/wire.ts";
import type { Message } from "../../transport/message.ts";
import type { Session } from "../session.ts";

function loggingOf(session: Session): DmaLoggingFacet {
  const { dmaLogging } = session.device;
  if (dmaLogging === undefined) throw refusal("ENOTTY", "the device keeps no log of its writes");
  return dmaLogging;
}

/** Feature DMA_LOGGING_START, SET. The reply echoes the request with the granted page size. */
export function loggingStart(
  session: Session,
  message: Message,
  _head: FeatureHead,
  at: number,
  length: number,
): void {
  const request = readLoggingStart(message.view, at, length);
  const logging = loggingOf(session);
  session.defer(session.migrationLane, message, async (ticket) => {
    const pageSize = await logging.start(request);
    session.logging = true;
    const { replies } = session;
    const data = replies.at + DEVICE_FEATURE.DATA;
    const size = writeLoggingStart(replies.view, data, { ...request, pageSize });
    const total = DEVICE_FEATURE.BYTES + size;
    writeFeatureHead(replies.view, replies.at, total, FEATURE.DMA_LOGGING_START, FEATURE_FLAG.SET);
    replies.send(ticket, total);
  });
}

/** Feature DMA_LOGGING_STOP, SET. */
export function loggingStop(session: Session, message: Message): void {
  const logging = loggingOf(session);
  session.defer(session.migrationLane, message, async (ticket) => {
    session.logging = false;
    await logging.stop();
    const { replies } = session;
    const total = DEVICE_FEATURE.BYTES;
    writeFeatureHead(replies.view, replies.at, total, FEATURE.DMA_LOGGING_STOP, FEATURE_FLAG.SET);
    replies.send(ticket, total);
  });
}

/**
 * Feature DMA_LOGGING_REPORT, GET: reads and clears. Where argsz has no room for the bitmap nothing is
 * read, and the reply says how much is needed.
 */
export function loggingReport(
  session: Session,
  message: Message,
  head: FeatureHead,
  at: number,
  length: number,
): void {
  const limit = session.negotiated.bitmapLimit;
  const { range, pageSize, bitmapBytes } = readLoggingReport(message.view, at, length, limit);
  const fixed = DEVICE_FEATURE.BYTES + LOGGING_REPORT.BYTES;
  const total = fixed + bitmapBytes;
  needArgsz("feature DMA_LOGGING_REPORT", head.argsz, fixed);
  const fits = head.argsz >= total;
  const logging = loggingOf(session);
  session.defer(session.migrationLane, message, async (ticket) => {
    await session.roomToSend();
    if (session.connection.closed) return;
    const writer = session.writerOf(session.migrationLane);
    const size = fits ? total : fixed;
    writer.reserve(size);
    const from = writer.at + fixed;
    if (fits) {
      // The buffer has been used before, and a log only sets bits.
      const bits = writer.bytes.subarray(from, from + bitmapBytes).fill(0);
      await logging.report(range, pageSize, bits);
    }
    writeFeatureHead(writer.view, writer.at, total, FEATURE.DMA_LOGGING_REPORT, FEATURE_FLAG.GET);
    writeLoggingReport(writer.view, writer.at + DEVICE_FEATURE.DATA, range, pageSize);
    writer.send(ticket, size);
  });
}
