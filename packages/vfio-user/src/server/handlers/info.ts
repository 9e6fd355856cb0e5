import { checkDeviceInfoRequest, DEVICE_FLAG, writeDeviceInfo } from "../../codec/device-info.ts";
import { refusal } from "../../codec/errno.ts";
import { readIrqInfoRequest, writeIrqInfo } from "../../codec/irq-info.ts";
import {
  readRegionInfoRequest,
  regionInfoBytes,
  REGION_INFO,
  writeRegionInfo,
} from "../../codec/region-info.ts";
import type { Message } from "../../transport/message.ts";
import type { Session } from "../session.ts";

/** `VFIO_USER_DEVICE_GET_INFO`. */
export function deviceInfo(session: Session, message: Message): void {
  checkDeviceInfoRequest(message.view, message.at, message.length);
  const { info } = session.device;
  const { replies } = session;
  const size = writeDeviceInfo(replies.view, replies.at, {
    flags: (info.resettable ? DEVICE_FLAG.RESET : 0) | (info.pci ? DEVICE_FLAG.PCI : 0),
    regions: info.regions.length,
    irqs: info.irqs.length,
  });
  replies.send(message, size);
}

/** `VFIO_USER_DEVICE_GET_REGION_INFO`. The fd goes with the capability, as libvfio-user has it. */
export function regionInfo(session: Session, message: Message): void {
  const { argsz, index } = readRegionInfoRequest(message.view, message.at, message.length);
  const region = session.device.info.regions[index];
  if (region === undefined) {
    throw refusal("EINVAL", `GET_REGION_INFO: the device has no region ${index}`, { index });
  }
  const { client, layouts } = session.negotiated;
  // A client that takes no fd with a message cannot map anything.
  const shown = client.maxMsgFds > 0 ? region : { ...region, mmap: undefined };
  const { replies } = session;
  const full = regionInfoBytes(shown, layouts);
  const caps = full > REGION_INFO.BYTES && argsz >= full;
  // What a client was given counts as mapped until it goes, or says that it is not.
  if (caps) session.regionMappings.note(shown);
  replies.reserve(full);
  const size = writeRegionInfo(replies.view, replies.at, shown, caps, layouts);
  if (caps && shown.mmap !== undefined) replies.send(message, size, [shown.mmap.fd]);
  else replies.send(message, size);
}

/** `VFIO_USER_DEVICE_GET_IRQ_INFO`. */
export function irqInfo(session: Session, message: Message): void {
  const { argsz, index } = readIrqInfoRequest(message.view, message.at, message.length);
  const info = session.device.info.irqs[index];
  if (info === undefined) {
    throw refusal("EINVAL", `GET_IRQ_INFO: the device has no irq index ${index}`, { index });
  }
  const { replies, negotiated } = session;
  const size = writeIrqInfo(replies.view, replies.at, info, argsz, negotiated.layouts);
  replies.send(message, size);
}
