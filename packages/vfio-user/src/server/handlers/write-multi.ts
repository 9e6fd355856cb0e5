import { COMMAND } from "../../codec/commands.ts";
import { refusal } from "../../codec/errno.ts";
import { readWriteMulti, WRITE_MULTI, type SmallWrite } from "../../codec/region-write-multi.ts";
import { writeU64 } from "../../codec/wire.ts";
import type { Message } from "../../transport/message.ts";
import type { Ticket } from "../reply-writer.ts";
import type { Session } from "../session.ts";
import { waitingRegion } from "./async-region.ts";
import { checkAccess } from "./region.ts";

/** `VFIO_USER_REGION_WRITE_MULTI`: all of the writes in their order, or, where one is wrong, none. */
export function regionWriteMulti(session: Session, message: Message): void {
  if (!session.negotiated.writeMultiple) {
    throw refusal("EOPNOTSUPP", "REGION_WRITE_MULTI was not negotiated (write_multiple)", {
      command: COMMAND.REGION_WRITE_MULTI,
    });
  }
  const { device, replies } = session;
  const writes = readWriteMulti(message.view, message.bytes, message.at, message.length);
  for (const { index, offset, data } of writes) {
    checkAccess(device, index, offset, data.length, "REGION_WRITE_MULTI");
    const waits = waitingRegion(session, index);
    if (waits !== undefined && waits.order !== "accesses") {
      const what = `region ${index} may have to wait; write to it alone`;
      throw refusal("EOPNOTSUPP", `REGION_WRITE_MULTI: ${what}`, { index });
    }
  }
  if (writes.some(({ index }) => waitingRegion(session, index) !== undefined)) {
    return writeLater(session, message, writes);
  }
  for (const { index, offset, data } of writes) {
    if (data.length > 0) device.writeRegion(index, offset, data);
  }
  writeU64(replies.view, replies.at, writes.length);
  replies.send(message, WRITE_MULTI.BYTES);
}

/** The same where accesses have to wait: behind those before, and before those behind. */
function writeLater(session: Session, message: Message, writes: readonly SmallWrite[]): void {
  // The message's buffer is the connection's again when this returns.
  const kept = writes.map(({ index, offset, data }) => ({ index, offset, data: data.slice() }));
  const held = kept.reduce((sum, { data }) => sum + data.length, 0);
  const lane = session.accessLane;
  const work = async (ticket: Ticket): Promise<void> => {
    for (const { index, offset, data } of kept) {
      const waits = session.device.asyncRegions?.get(index);
      if (data.length === 0) continue;
      if (waits === undefined) session.device.writeRegion(index, offset, data);
      else await waits.write(offset, data);
    }
    const replies = session.writerOf(lane);
    writeU64(replies.view, replies.at, kept.length);
    replies.send(ticket, WRITE_MULTI.BYTES);
  };
  session.defer(lane, message, work, held);
}
