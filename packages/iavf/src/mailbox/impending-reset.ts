import { buildEvent, EVENT_SEVERITY, VF_EVENT } from "../virtchnl/events.ts";
import { VIRTCHNL_OP, VIRTCHNL_STATUS } from "../virtchnl/opcodes.ts";
import type { ReceivedMessage } from "./private-mailbox.ts";

/** What a PF tells a guest whose VF it resets of its own accord, just before it does. */
export function impendingReset(): ReceivedMessage {
  const body = buildEvent({
    event: VF_EVENT.RESET_IMPENDING,
    speed: 0,
    linkUp: false,
    severity: EVENT_SEVERITY.CERTAIN_DOOM,
  });
  return { opcode: VIRTCHNL_OP.EVENT, status: VIRTCHNL_STATUS.SUCCESS, body };
}
