import type { StateRecord } from "@vfmig/core";
import { saveConversation } from "../../mailbox/conversation-state.ts";
import { joinMailboxState } from "../../mailbox/mailbox-state.ts";
import { VF_REGISTER, VF_REGISTER_COUNT } from "../../registers.ts";
import { VF_CAP } from "../../virtchnl/capabilities.ts";
import { refuseUncarried } from "../features/refuse.ts";
import type { Parts } from "../parts.ts";
import type { VfState } from "./schema.ts";

/** Everything that a target needs, of a stopped function. */
export function capture(parts: Parts): VfState {
  const { config, mailbox, queues, vectors } = parts;
  return {
    function: { busMaster: config.busMaster, rssRegisters: rssRegisters(parts) },
    conversation: saveConversation(mailbox.conversation),
    queues: { tails: queues.tails.save(), positions: queues.relays.positions() },
    vectors: { vectors: vectors.save() },
    mailbox: joinMailboxState(mailbox.virtual.save(), mailbox.vector.save(), {
      ...mailbox.backlog(),
    }),
  };
}

/**
 * The records of a stopped function, in order.
 * @throws VfmigError `ERR_VFMIG_VF_FEATURE` where the guest uses what no record can hold
 */
export function* save(parts: Parts): Generator<StateRecord> {
  refuseUncarried(parts);
  for (const [type, value] of Object.entries(capture(parts))) {
    yield { type, value };
  }
}

/** Hash key, table and types, where the guest writes them itself instead of asking the PF. */
function rssRegisters({ registers, mailbox }: Parts): VfState["function"]["rssRegisters"] {
  const caps = mailbox.conversation.resources?.caps ?? 0;
  if ((caps & VF_CAP.RSS_REG) === 0 || (caps & VF_CAP.RSS_PF) !== 0) {
    return [];
  }
  const ranges = [
    [VF_REGISTER.VFQF_HENA, VF_REGISTER_COUNT.hena],
    [VF_REGISTER.VFQF_HKEY, VF_REGISTER_COUNT.hkey],
    [VF_REGISTER.VFQF_HLUT, VF_REGISTER_COUNT.hlut],
  ] as const;
  return ranges.flatMap(([first, count]) =>
    Array.from({ length: count }, (_, index) => ({
      offset: first + 4 * index,
      value: registers.read(first + 4 * index),
    })),
  );
}
