import type { MailboxHooks, RequestVerdict } from "../../mailbox/options.ts";
import type { ReceivedMessage } from "../../mailbox/private-mailbox.ts";
import { viewOf } from "../../virtchnl/body.ts";
import { VIRTCHNL_OP, VIRTCHNL_STATUS, virtchnlName } from "../../virtchnl/opcodes.ts";
import { parseIrqMap, parseQueueSelect } from "../../virtchnl/queues.ts";
import {
  buildResourcesRequest,
  parseResources,
  parseResourcesRequest,
  RESOURCES_FIELD,
} from "../../virtchnl/session.ts";
import type { Parts } from "../parts.ts";

/** What this plugin does with each request of the guest and each answer of the PF. */
export function createHooks(parts: () => Parts): MailboxHooks {
  return {
    request(opcode, body) {
      try {
        return judge(parts(), opcode, body);
      } catch (error) {
        // The PF would refuse such a body too; it does not have to see it.
        refuse(parts(), opcode, String(error));
        return { kind: "answer", status: VIRTCHNL_STATUS.PARAM };
      }
    },
    reply(opcode, request, reply) {
      try {
        return accept(parts(), opcode, request, reply);
      } catch (error) {
        parts().context.logger.warn(
          `the PF's answer to ${virtchnlName(opcode)} is not understood`,
          {
            cause: String(error),
          },
        );
        return reply.body;
      }
    },
    reset() {
      const { queues, vectors, session } = parts();
      queues.reset();
      vectors.reset();
      session.touched = false;
      session.loaded = false;
      session.outstanding = [];
    },
  };
}

function refuse({ context }: Parts, opcode: number, why: string): void {
  context.logger.warn(`the guest's ${virtchnlName(opcode)} is refused: ${why}`, { opcode });
}

function judge(parts: Parts, opcode: number, body: Uint8Array): RequestVerdict {
  const { queues, session } = parts;
  switch (opcode) {
    case VIRTCHNL_OP.GET_VF_RESOURCES:
      // Version 1.0 asks without a body.
      session.touched = true;
      return body.length === 0
        ? { kind: "forward", body }
        : {
            kind: "forward",
            body: buildResourcesRequest(parseResourcesRequest(body) & parts.family.carriedCaps),
          };
    case VIRTCHNL_OP.REQUEST_QUEUES:
      // It was hidden from the guest, since a target could not be made to have as many.
      return { kind: "answer", status: VIRTCHNL_STATUS.NOT_SUPPORTED };
    case VIRTCHNL_OP.CONFIG_VSI_QUEUES: {
      const relayed = queues.configure(body);
      if (typeof relayed === "string") {
        refuse(parts, opcode, relayed);
        return { kind: "answer", status: VIRTCHNL_STATUS.PARAM };
      }
      return { kind: "forward", body: relayed };
    }
    case VIRTCHNL_OP.ENABLE_QUEUES:
      queues.enabling(parseQueueSelect(body));
      return { kind: "forward", body };
    default:
      session.touched = true;
      return { kind: "forward", body };
  }
}

function accept(
  parts: Parts,
  opcode: number,
  request: Uint8Array,
  reply: ReceivedMessage,
): Uint8Array {
  const { queues, mailbox } = parts;
  if (opcode === VIRTCHNL_OP.CONFIG_VSI_QUEUES) {
    queues.configured(reply.status === 0, mailbox.frozen);
  }
  if (reply.status !== 0) {
    return reply.body;
  }
  const body = opcode === VIRTCHNL_OP.GET_VF_RESOURCES ? hide(parts, reply.body) : reply.body;
  mailbox.conversation.granted(opcode, request, body);
  follow(parts, opcode, request);
  return body;
}

/** The answer without capabilities that could not be carried on; from now on this host's VSI counts. */
function hide({ mailbox, family }: Parts, reply: Uint8Array): Uint8Array {
  const body = reply.slice();
  const { caps, vsiId } = parseResources(body);
  viewOf(body).setUint32(RESOURCES_FIELD.CAPS, (caps & family.carriedCaps) >>> 0, true);
  mailbox.setVsi(vsiId, vsiId);
  return body;
}

/** What the PF has done at the guest's request has consequences for vectors and relays. */
function follow({ queues, vectors, mailbox }: Parts, opcode: number, request: Uint8Array): void {
  switch (opcode) {
    case VIRTCHNL_OP.CONFIG_IRQ_MAP:
      vectors.map(parseIrqMap(request));
      break;
    case VIRTCHNL_OP.ENABLE_QUEUES:
      vectors.armAll();
      queues.enabled(request, mailbox.frozen);
      break;
    case VIRTCHNL_OP.DISABLE_QUEUES:
      queues.disabled(request);
      break;
    default:
  }
}
