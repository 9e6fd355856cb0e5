import { COMMAND } from "../../codec/commands.ts";
import { refusal } from "../../codec/errno.ts";
import { readWriteMulti, WRITE_MULTI } from "../../codec/region-write-multi.ts";
import { writeU64 } from "../../codec/wire.ts";
import type { Message } from "../../transport/message.ts";
import type { Session } from "../session.ts";
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
    if (device.asyncRegions?.has(index) === true) {
      const what = `region ${index} may have to wait; write to it alone`;
      throw refusal("EOPNOTSUPP", `REGION_WRITE_MULTI: ${what}`, { index });
    }
  }
  for (const { index, offset, data } of writes) {
    if (data.length > 0) device.writeRegion(index, offset, data);
  }
  writeU64(replies.view, replies.at, writes.length);
  replies.send(message, WRITE_MULTI.BYTES);
}
