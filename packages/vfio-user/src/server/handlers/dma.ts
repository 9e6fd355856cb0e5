import type { DmaLoggingFacet } from "@vfmig/core";
import {
  describeRange,
  DMA_UNMAP_BITMAP,
  readDmaMap,
  readDmaUnmap,
  writeDmaUnmap,
  type DmaUnmapRange,
  type UnmapBitmap,
} from "../../codec/dma.ts";
import { refusal } from "../../codec/errno.ts";
import type { Message } from "../../transport/message.ts";
import type { Ticket } from "../reply-writer.ts";
import type { Session } from "../session.ts";

/** `VFIO_USER_DMA_MAP`. Without fd the device reaches the range by messages to the client, if at all. */
export function dmaMap(session: Session, message: Message): void {
  const { io, logger } = session.settings;
  const request = readDmaMap(message.view, message.at, message.length, io.pageSize);
  if (message.fds.length > 1) {
    throw refusal("EINVAL", `DMA_MAP: ${message.fds.length} fds came, and one is the most`);
  }
  const fd = message.fds.pop();
  if (fd === undefined) {
    const text = "only messages reach it, and a device that takes none cannot reach it";
    logger.info(`vfio-user: a mapping came without fd: ${text}`, {
      iova: `0x${request.iova.toString(16)}`,
      size: Number(request.size),
    });
  }
  session.defer(
    session.dmaLane,
    message,
    (ticket) => afterwards(session.dma.map(request, fd), () => session.replies.send(ticket, 0)),
    0,
    () => {
      if (fd !== undefined) io.close(fd);
    },
  );
}

/** `VFIO_USER_DMA_UNMAP`: answered when every use of the range has ended. */
export function dmaUnmap(session: Session, message: Message): void {
  const limit = session.negotiated.bitmapLimit;
  const request = readDmaUnmap(message.view, message.at, message.length, limit);
  const bitmap = request.all ? undefined : request.bitmap;
  if (!request.all && bitmap !== undefined) {
    const logging = runningLog(session, request);
    session.defer(session.dmaLane, message, (ticket) =>
      unmapWithBitmap(session, ticket, request, bitmap, logging),
    );
    return;
  }
  session.defer(session.dmaLane, message, (ticket) => {
    const { replies, dma } = session;
    return afterwards(request.all ? dma.unmapAll() : dma.unmap(request), () =>
      replies.send(ticket, writeDmaUnmap(replies.view, replies.at, request)),
    );
  });
}

/** The log that knows the dirty pages, where it runs. */
function runningLog(session: Session, request: DmaUnmapRange): DmaLoggingFacet {
  const { dmaLogging } = session.device;
  if (dmaLogging !== undefined && session.logging) return dmaLogging;
  throw refusal(
    dmaLogging === undefined ? "EOPNOTSUPP" : "EINVAL",
    `DMA_UNMAP of ${describeRange(request)} asks for dirty pages, but ${
      dmaLogging === undefined
        ? "the device keeps no log of its writes"
        : "no log was started (DMA_LOGGING_START)"
    }`,
  );
}

/** Unmaps, and then answers with all that was written, the last writes of the device included. */
async function unmapWithBitmap(
  session: Session,
  ticket: Ticket,
  request: DmaUnmapRange,
  bitmap: UnmapBitmap,
  logging: DmaLoggingFacet,
): Promise<void> {
  await session.dma.unmap(request);
  const writer = session.writerOf(session.dmaLane);
  writer.reserve(DMA_UNMAP_BITMAP.BYTES + bitmap.bytes);
  const from = writer.at + DMA_UNMAP_BITMAP.DATA;
  const bits = writer.bytes.subarray(from, from + bitmap.bytes).fill(0);
  try {
    await logging.report(request, bitmap.pageSize, bits);
  } catch (error) {
    // The range is gone, so the client cannot ask again: what is not known to be clean is dirty.
    const text = error instanceof Error ? error.message : String(error);
    session.settings.logger.warn(
      `vfio-user: no dirty log of an unmapped range, so all of it counts as dirty: ${text}`,
      { range: describeRange(request) },
    );
    setBits(bits, Math.ceil(Number(request.size) / bitmap.pageSize));
  }
  writeDmaUnmap(writer.view, writer.at, request);
  writer.send(ticket, DMA_UNMAP_BITMAP.BYTES + bitmap.bytes);
}

function setBits(bits: Uint8Array, count: number): void {
  bits.fill(0xff, 0, count >> 3);
  if ((count & 7) !== 0) bits[count >> 3] = (1 << (count & 7)) - 1;
}

/** Runs `answer` after `done`; at once where there is nothing to wait for. */
function afterwards(done: void | Promise<void>, answer: () => void): void | Promise<void> {
  if (done === undefined) return answer();
  return done.then(() => answer());
}
