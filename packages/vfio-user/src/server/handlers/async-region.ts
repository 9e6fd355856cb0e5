import type { AsyncRegion } from "@vfmig/core";
import { REGION_ACCESS, writeRegionAccess } from "../../codec/region-access.ts";
import type { Message } from "../../transport/message.ts";
import type { Ticket } from "../reply-writer.ts";
import type { Session } from "../session.ts";

// Accesses that may wait, as those of a migration region: answered when their duty is done, in the order of
// state changes. Everything else is served meanwhile.

/** Reads `count` bytes; the access is checked already. */
export function readAsyncRegion(
  session: Session,
  message: Message,
  region: AsyncRegion,
  index: number,
  offset: number,
  count: number,
): void {
  const lane = session.migrationLane;
  session.defer(lane, message, async (ticket) => {
    const replies = session.writerOf(lane);
    const data = replies.regionData(count);
    await region.read(offset, data);
    writeRegionAccess(replies.view, replies.at, offset, index, count);
    replies.send(ticket, REGION_ACCESS.BYTES + count);
  });
}

/** Writes the `count` bytes of a message; the access is checked already. */
export function writeAsyncRegion(
  session: Session,
  message: Message,
  region: AsyncRegion,
  index: number,
  offset: number,
  count: number,
): void {
  const at = message.at + REGION_ACCESS.DATA;
  // The message's buffer is the connection's again when this returns.
  const data = message.bytes.slice(at, at + count);
  const work = async (ticket: Ticket): Promise<void> => {
    await region.write(offset, data);
    const replies = session.writerOf(session.migrationLane);
    writeRegionAccess(replies.view, replies.at, offset, index, count);
    replies.send(ticket, REGION_ACCESS.BYTES);
  };
  session.defer(session.migrationLane, message, work, count);
}
