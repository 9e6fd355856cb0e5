import { refusal } from "../../codec/errno.ts";
import {
  readRegionIoFdsRequest,
  regionIoFdsBytes,
  writeRegionIoFds,
} from "../../codec/region-io-fds.ts";
import type { Message } from "../../transport/message.ts";
import type { Session } from "../session.ts";

/** `VFIO_USER_DEVICE_GET_REGION_IO_FDS`: what the server's owner offers, most often nothing. */
export function regionIoFds(session: Session, message: Message): void {
  const { argsz, index } = readRegionIoFdsRequest(message.view, message.at, message.length);
  if (session.device.info.regions[index] === undefined) {
    throw refusal("EINVAL", `GET_REGION_IO_FDS: the device has no region ${index}`, { index });
  }
  // A client that takes fewer fds gets the first ones; writes to the others stay messages.
  const entries = session.settings.ioFds(index).slice(0, session.negotiated.client.maxMsgFds);
  if (entries.length === 0) {
    throw refusal(
      "EOPNOTSUPP",
      `GET_REGION_IO_FDS: region ${index} has no ioeventfds; use REGION_WRITE`,
      { index },
    );
  }
  const { replies } = session;
  const full = regionIoFdsBytes(entries);
  const fits = argsz >= full;
  replies.reserve(full);
  const size = writeRegionIoFds(replies.view, replies.at, index, entries, fits);
  if (fits)
    replies.send(
      message,
      size,
      entries.map(({ fd }) => fd),
    );
  else replies.send(message, size);
}
