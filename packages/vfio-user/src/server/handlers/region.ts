import type { VfioDevice } from "@vfmig/core";
import { refusal } from "../../codec/errno.ts";
import { REGION_ACCESS, writeRegionAccess } from "../../codec/region-access.ts";
import { exactPayload, needPayload, readU64 } from "../../codec/wire.ts";
import type { Message } from "../../transport/message.ts";
import type { Session } from "../session.ts";

// A guest's CPU stands still behind these two: no allocation up to 8 bytes, and nothing awaited.

/** `VFIO_USER_REGION_READ`. */
export function regionRead(session: Session, message: Message): void {
  const { view, at, length } = message;
  exactPayload("VFIO_USER_REGION_READ", length, REGION_ACCESS.BYTES);
  const offset = readU64(view, at + REGION_ACCESS.OFFSET);
  const region = view.getUint32(at + REGION_ACCESS.REGION, true);
  const count = view.getUint32(at + REGION_ACCESS.COUNT, true);
  if (count > session.negotiated.replyLimit) {
    throw refusal("EINVAL", `REGION_READ of ${count} bytes is beyond the negotiated limit`, {
      count,
    });
  }
  checkAccess(session.device, region, offset, count, false);
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
  checkAccess(session.device, region, offset, count, true);
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

/** Refuses an access that the device's information rules out; the device itself need not know. */
function checkAccess(
  device: VfioDevice,
  index: number,
  offset: number,
  count: number,
  write: boolean,
): void {
  const region = device.info.regions[index];
  const what = write ? "REGION_WRITE" : "REGION_READ";
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
  if (!(write ? region.write : region.read)) {
    throw refusal("EACCES", `${what}: region ${index} does not allow it`, { index });
  }
}
