import type { MailboxHooks, RequestVerdict } from "../../mailbox/options.ts";
import type { ReceivedMessage } from "../../mailbox/private-mailbox.ts";
import { txTail } from "../../registers.ts";
import { viewOf } from "../../virtchnl/body.ts";
import { guestLinkSpeed } from "../../virtchnl/events.ts";
import { VIRTCHNL_OP, VIRTCHNL_STATUS, virtchnlName } from "../../virtchnl/opcodes.ts";
import { parseIrqMap, parseQueueConfig, parseQueueSelect } from "../../virtchnl/queues.ts";
import { buildSupportedRxdids, parseSupportedRxdids } from "../../virtchnl/rx-formats.ts";
import {
  buildResourcesRequest,
  parseResources,
  parseResourcesRequest,
  RESOURCES_FIELD,
} from "../../virtchnl/session.ts";
import { hiddenOperation, shownCaps } from "../features/features.ts";
import { formatBits } from "../describe/rx-formats.ts";
import type { Parts } from "../parts.ts";
import { judgeFormat } from "../queues/judge.ts";

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
    event(body) {
      const { resources, hostCaps } = parts().mailbox.conversation;
      return guestLinkSpeed(body, resources?.caps ?? 0, hostCaps);
    },
    reset() {
      const { queues, vectors, session, doorbells } = parts();
      queues.reset();
      doorbells.reset();
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
  const { queues, session, context, doorbells } = parts;
  const hidden = hiddenOperation(opcode, context.options.uncarried);
  if (hidden !== undefined) {
    refuse(parts, opcode, hidden);
    return { kind: "answer", status: VIRTCHNL_STATUS.NOT_SUPPORTED };
  }
  switch (opcode) {
    case VIRTCHNL_OP.GET_VF_RESOURCES:
      session.touched = true;
      return { kind: "forward", body: askFor(parts, body) };
    case VIRTCHNL_OP.CONFIG_VSI_QUEUES:
      doorbells.withdraw();
      return configure(parts, body);
    case VIRTCHNL_OP.DISABLE_QUEUES:
      doorbells.withdraw();
      session.touched = true;
      return { kind: "forward", body };
    case VIRTCHNL_OP.ENABLE_QUEUES:
      doorbells.withdraw();
      queues.enabling(parseQueueSelect(body));
      return { kind: "forward", body };
    default:
      session.touched = true;
      return { kind: "forward", body };
  }
}

/** The guest's wishes without those that no guest is shown. Version 1.0 asks without a body. */
function askFor({ context }: Parts, body: Uint8Array): Uint8Array {
  if (body.length === 0) {
    return body;
  }
  return buildResourcesRequest(parseResourcesRequest(body) & shownCaps(context.options.uncarried));
}

function configure(parts: Parts, body: Uint8Array): RequestVerdict {
  const { queues, mailbox, registers } = parts;
  const { pairs } = parseQueueConfig(body);
  const caps = mailbox.conversation.resources?.caps ?? 0;
  const [problem] = pairs.map((pair) => judgeFormat(pair, caps)).filter((it) => it !== undefined);
  const relayed = problem ?? queues.configure(body);
  if (typeof relayed === "string") {
    refuse(parts, VIRTCHNL_OP.CONFIG_VSI_QUEUES, relayed);
    return { kind: "answer", status: VIRTCHNL_STATUS.PARAM };
  }
  const running = queues.asked.txQueues;
  for (const { tx } of pairs) {
    // Some PFs let a Tx queue run from its configuration on; an old tail would mean stale slots.
    if (((running >>> tx.queue) & 1) === 0) {
      registers.write(txTail(tx.queue), 0);
    }
  }
  return { kind: "forward", body: relayed };
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
    parts.vectors.refresh();
  }
  if (reply.status !== 0) {
    return reply.body;
  }
  const body = show(parts, opcode, reply.body);
  mailbox.conversation.granted(opcode, request, body);
  follow(parts, opcode, request);
  parts.doorbells.stir();
  return body;
}

/** The PF's answer as the guest gets it. */
function show(parts: Parts, opcode: number, reply: Uint8Array): Uint8Array {
  switch (opcode) {
    case VIRTCHNL_OP.GET_VF_RESOURCES:
      return showResources(parts, reply);
    case VIRTCHNL_OP.GET_SUPPORTED_RXDIDS:
      return buildSupportedRxdids(parseSupportedRxdids(reply) & formatBits(parts.family));
    case VIRTCHNL_OP.GET_STATS:
      return parts.mailbox.conversation.statistics.answered(reply);
    default:
      return reply;
  }
}

/** Without capabilities that no guest is shown; from now on this host's VSI counts. */
function showResources({ mailbox, context }: Parts, reply: Uint8Array): Uint8Array {
  const body = reply.slice();
  const { caps, vsiId } = parseResources(body);
  const shown = (caps & shownCaps(context.options.uncarried)) >>> 0;
  viewOf(body).setUint32(RESOURCES_FIELD.CAPS, shown, true);
  mailbox.conversation.hostCaps = caps;
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
