import type { StateRecord } from "@vfmig/core";
import { igbError } from "../errors.ts";
import { opcodeName } from "../mailbox/messages.ts";
import type { Parts } from "../parts.ts";
import type { IgbState } from "./schema.ts";

/** Everything that a target needs, of a stopped function. */
export function capture(parts: Parts): IgbState {
  const { config, statistics, mailbox, tx, rx, vectors } = parts;
  return {
    function: { busMaster: config.busMaster, statistics: statistics.save() },
    conversation: mailbox.conversation.save(),
    mailbox: mailbox.save(),
    queues: { rx: rx.save(), tx: tx.save() },
    vectors: vectors.save(),
  };
}

/**
 * The records of a stopped function, in order.
 * @throws VfmigError `ERR_VFMIG_VF_FEATURE` where the guest uses what no record can hold
 */
export function* save(parts: Parts): Generator<StateRecord> {
  const [operation] = parts.mailbox.conversation.uncarried;
  if (operation !== undefined) {
    throw igbError(
      "ERR_VFMIG_VF_FEATURE",
      `the guest has used ${opcodeName(operation)}, which cannot be carried to another host; the device stays here`,
      { operations: [...parts.mailbox.conversation.uncarried] },
    );
  }
  for (const [type, value] of Object.entries(capture(parts))) {
    yield { type, value };
  }
}
