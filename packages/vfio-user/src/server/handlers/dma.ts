import { readDmaMap, readDmaUnmap, writeDmaUnmap } from "../../codec/dma.ts";
import { refusal } from "../../codec/errno.ts";
import type { Message } from "../../transport/message.ts";
import type { Session } from "../session.ts";

/** `VFIO_USER_DMA_MAP`. Without fd the range is a hole: messages to the client are not spoken yet. */
export function dmaMap(session: Session, message: Message): void {
  const { io, logger } = session.settings;
  const request = readDmaMap(message.view, message.at, message.length, io.pageSize);
  if (message.fds.length > 1) {
    throw refusal("EINVAL", `DMA_MAP: ${message.fds.length} fds came, and one is the most`);
  }
  const fd = message.fds.pop();
  if (fd === undefined) {
    logger.info("vfio-user: a mapping came without fd; the device cannot reach it", {
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
  const request = readDmaUnmap(message.view, message.at, message.length);
  session.defer(session.dmaLane, message, (ticket) => {
    const { replies, dma } = session;
    return afterwards(request.all ? dma.unmapAll() : dma.unmap(request), () =>
      replies.send(ticket, writeDmaUnmap(replies.view, replies.at, request)),
    );
  });
}

/** Runs `answer` after `done`; at once where there is nothing to wait for. */
function afterwards(done: void | Promise<void>, answer: () => void): void | Promise<void> {
  if (done === undefined) return answer();
  return done.then(() => answer());
}
