import type { VfioDevice } from "@vfmig/core";
import { refusal } from "../../codec/errno.ts";
import { REGION_ACCESS, writeRegionAccess } from "../../codec/region-access.ts";
import { exactPayload, needPayload, readU64 } from "../../codec/wire.ts";
import type { Message } from "../../transport/message.ts";
import type { Session } from "../session.ts";
import { readAsyncRegion, waitingRegion, writeAsyncRegion } from "./async-region.ts";

// A guest's CPU stands still behind these two: no allocation up to 8 bytes, and nothing awaited.

/** `VFIO_USER_REGION_READ`. */
export function regionRead(session: Session, message: Message): void {
  const { view, at, length } = message;
  exactPayload("VFIO_USER_REGION_READ", length, REGION_ACCESS.BYTES);
  const offset = readU64(view, at + REGION_ACCESS.OFFSET);
  const region = view.getUint32(at + REGION_ACCESS.REGION, true);
  const count = view.getUint32(at + REGION_ACCESS.COUNT, true);
  checkLimit("REGION_READ", count, session.negotiated.replyLimit);
  checkAccess(session.device, region, offset, count, "REGION_READ");
  const waits = waitingRegion(session, region);
  if (waits !== undefined && count > 0)
    return readAsyncRegion(session, message, waits, region, offset, count);
  const { replies } = session;
  const data = replies.regionData(count);
  if (count > 0) session.device.readRegion(region, offset, data);
  writeRegionAccess(replies.view, replies.at, offset, region, count);
  replies.send(message, REGION_ACCESS.BYTES + count);
}

/** `VFIO_USER_REGION_WRITE`. */
export function regionWrite(session: Session, message: Message): void {
  const { view, at, length } = message;
  needPayload("VFIO_USER_REGION_WRITE", length, REGION_ACCESS.BYTES);
  const offset = readU64(view, at + REGION_ACCESS.OFFSET);
  const region = view.getUint32(at + REGION_ACCESS.REGION, true);
  const count = view.getUint32(at + REGION_ACCESS.COUNT, true);
  exactPayload("VFIO_USER_REGION_WRITE", length, REGION_ACCESS.BYTES + count);
  checkLimit("REGION_WRITE", count, session.settings.maxDataTransferSize);
  checkAccess(session.device, region, offset, count, "REGION_WRITE");
  const waits = waitingRegion(session, region);
  if (waits !== undefined && count > 0)
    return writeAsyncRegion(session, message, waits, region, offset, count);
  const { replies } = session;
  if (count > 0) session.device.writeRegion(region, offset, writeData(session, message, count));
  if (message.noReply) return;
  writeRegionAccess(replies.view, replies.at, offset, region, count);
  replies.send(message, REGION_ACCESS.BYTES);
}

/** The data of a write: small ones are copied into a view that is there already. */
function writeData(session: Session, message: Message, count: number): Uint8Array {
  const from = message.at + REGION_ACCESS.DATA;
  if (count > 8) return message.bytes.subarray(from, from + count);
  const data = session.replies.regionData(count);
  for (let i = 0; i < count; i += 1) data[i] = message.bytes[from + i] ?? 0;
  return data;
}

/** Refuses more data than the negotiated `max_data_xfer_size`. */
export function checkLimit(what: string, count: number, limit: number): void {
  if (count <= limit) return;
  throw refusal("EINVAL", `${what} of ${count} bytes; the negotiated limit is ${limit}`, {
    count,
    limit,
  });
}

/** Refuses an access that the device's information rules out; the device itself need not know. */
export function checkAccess(
  device: VfioDevice,
  index: number,
  offset: number,
  count: number,
  what: "REGION_READ" | "REGION_WRITE" | "REGION_WRITE_MULTI",
): void {
  const region = device.info.regions[index];
  if (region === undefined) {
    throw refusal("EINVAL", `${what}: the device has no region ${index}`, { index });
  }
  if (offset + count > region.size) {
    throw refusal(
      "EINVAL",
      `${what}: ${count} bytes at offset ${offset} of region ${index}, which has ${region.size}`,
      { index, offset, count, size: region.size },
    );
  }
  if (!(what === "REGION_READ" ? region.read : region.write)) {
    throw refusal("EACCES", `${what}: region ${index} does not allow it`, { index });
  }
}
