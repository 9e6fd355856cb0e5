import type { Message } from "../../transport/message.ts";
import { ticketOf } from "../reply-writer.ts";
import type { Session } from "../session.ts";

/**
 * `VFIO_USER_DEVICE_RESET`: begins at once, also while a state change runs, which it cancels. What waited
 * behind that change is cancelled too, and what comes later waits for the reset.
 */
export function deviceReset(session: Session, message: Message): void {
  const ticket = ticketOf(message);
  const lane = session.migrationLane;
  lane.cancelQueued();
  const reset = session.device.reset().then(
    () => session.replies.send(ticket, 0),
    (error: unknown) => session.fail(ticket, error),
  );
  lane.add(
    () => reset,
    () => {},
  );
}
