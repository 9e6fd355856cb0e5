import { readSetIrqs } from "../../codec/set-irqs.ts";
import type { Message } from "../../transport/message.ts";
import type { Session } from "../session.ts";

/** `VFIO_USER_DEVICE_SET_IRQS`. */
export function setIrqs(session: Session, message: Message): void {
  const { view, bytes, at, length, fds } = message;
  const { irqs } = session.device.info;
  session.irqs.apply(readSetIrqs(view, bytes, at, length, irqs, fds.length), fds);
  session.replies.send(message, 0);
}
