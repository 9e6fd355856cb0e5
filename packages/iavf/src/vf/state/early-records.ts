import type { PrecopyInfo, StateRecord } from "@vfmig/core";
import { agreementOf, saveConversation } from "../../mailbox/conversation-state.ts";
import type { Parts } from "../parts.ts";

/**
 * What goes before the stop: all that guest and PF have agreed on, so that a target can judge it while
 * the source still runs. The final records hold it again, in case the guest asks for more meanwhile.
 */
export class EarlyRecords {
  readonly #parts: Parts;
  #given: string | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  *records(): Generator<StateRecord> {
    this.#given = undefined;
    const value = saveConversation(this.#parts.mailbox.conversation);
    yield { type: "conversation", value };
    this.#given = agreementOf(value);
  }

  /** Sizes are those of JSON, which are near those of CBOR. */
  info(): PrecopyInfo {
    const now = agreementOf(saveConversation(this.#parts.mailbox.conversation));
    return {
      initialBytes: this.#given === undefined ? now.length : 0,
      dirtyBytes: this.#given === undefined || this.#given === now ? 0 : now.length,
      reinit: false,
    };
  }
}
