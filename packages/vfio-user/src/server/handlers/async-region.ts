import type { AsyncRegion, VfioDevice } from "@vfmig/core";
import { REGION_ACCESS, writeRegionAccess } from "../../codec/region-access.ts";
import type { Message } from "../../transport/message.ts";
import type { Lane } from "../lane.ts";
import type { Ticket } from "../reply-writer.ts";
import type { Session } from "../session.ts";

// Accesses that may wait: answered when their duty is done. Those of a migration region keep the order of state
// changes; those of a device that is being replaced their own. Everything else is served meanwhile.

/**
 * How an access of region `index` waits; undefined where it is served at once. Behind accesses that wait no
 * other goes first, also when the device would take it.
 */
export function waitingRegion(session: Session, index: number): AsyncRegion | undefined {
  const given = session.device.asyncRegions?.get(index);
  if (given !== undefined || !session.accessLane.busy) return given;
  return queued(session.device, index);
}

/** A region whose accesses go to the device when those before them have. */
function queued(device: VfioDevice, index: number): AsyncRegion {
  const late = (): AsyncRegion | undefined => device.asyncRegions?.get(index);
  return {
    order: "accesses",
    async read(offset, into) {
      const waits = late();
      if (waits === undefined) device.readRegion(index, offset, into);
      else await waits.read(offset, into);
    },
    async write(offset, from) {
      const waits = late();
      if (waits === undefined) device.writeRegion(index, offset, from);
      else await waits.write(offset, from);
    },
  };
}

export function laneOf(session: Session, { order }: AsyncRegion): Lane {
  return order === "accesses" ? session.accessLane : session.migrationLane;
}

/** Reads `count` bytes; the access is checked already. */
export function readAsyncRegion(
  session: Session,
  message: Message,
  region: AsyncRegion,
  index: number,
  offset: number,
  count: number,
): void {
  const lane = laneOf(session, region);
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
  const lane = laneOf(session, region);
  const work = async (ticket: Ticket): Promise<void> => {
    await region.write(offset, data);
    const replies = session.writerOf(lane);
    writeRegionAccess(replies.view, replies.at, offset, index, count);
    replies.send(ticket, REGION_ACCESS.BYTES);
  };
  session.defer(lane, message, work, count);
}
