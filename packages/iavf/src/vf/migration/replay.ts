import type { StateLoader, StateRecord } from "@vfmig/core";
import {
  agreementOf,
  type ConversationState,
  statisticsOf,
} from "../../mailbox/conversation-state.ts";
import { splitMailboxState } from "../../mailbox/mailbox-state.ts";
import { askOffloads } from "../describe/ask.ts";
import { offersOf } from "../describe/offers.ts";
import { vfError } from "../errors.ts";
import type { Parts } from "../parts.ts";
import { judgeFormat, judgePair } from "../queues/judge.ts";
import { type VfState, parseRecord, RECORD_TYPES } from "../state/schema.ts";
import { enableEmpty } from "./enable.ts";
import { negotiate, refuseLess } from "./negotiate.ts";
import { isRefusal, repeatedRequests } from "./repeat.ts";
import { freshVf, ready } from "./reset-vf.ts";

/**
 * Takes a saved VF. What the guest and its PF had agreed on is agreed with this host's PF as soon as it
 * is told, which in PRE_COPY is while the guest still runs elsewhere; the rest waits for the end.
 */
export class Loader implements StateLoader {
  readonly #parts: Parts;
  readonly #records: Partial<VfState> = {};
  readonly #ended = new AbortController();
  /** What this host's PF has agreed to. */
  #agreed: string | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  async record(record: StateRecord): Promise<void> {
    const records = parseRecord(record.type, record.value);
    Object.assign(this.#records, records);
    const { conversation } = records;
    if (conversation !== undefined && agreementOf(conversation) !== this.#agreed) {
      judgePairs(this.#parts, conversation);
      this.#agreed = undefined;
      await this.#attempt(() => agree(this.#parts, conversation, this.#ended.signal));
      this.#agreed = agreementOf(conversation);
    }
  }

  async commit(signal: AbortSignal): Promise<void> {
    const state = complete(this.#parts, this.#records);
    await this.#attempt(async () => {
      this.#parts.mailbox.conversation.statistics.continueFrom(statisticsOf(state.conversation));
      await enableEmpty(this.#parts, signal);
      restore(this.#parts, state);
      this.#parts.session.loaded = true;
    });
  }

  /** Whatever fails leaves a VF that no guest has used. */
  async #attempt(run: () => Promise<void>): Promise<void> {
    const { config, mailbox, context, queues } = this.#parts;
    const release = config.hold();
    try {
      await run();
    } catch (error) {
      context.logger.warn("the state could not be taken; the VF is reset", { cause: error });
      mailbox.conversation.clear();
      await freshVf(this.#parts, new AbortController().signal).catch(() => {});
      queues.reset();
      throw error;
    } finally {
      release();
    }
  }

  abort(): void {
    this.#ended.abort(new Error("the load was given up"));
    this.#agreed = undefined;
  }
}

/** @throws VfmigError `ERR_VFMIG_VF_STATE` */
function judgePairs(parts: Parts, { pairs, resources }: ConversationState): void {
  for (const pair of pairs) {
    const problem = judgePair(pair, parts.family) ?? judgeFormat(pair, resources?.caps ?? 0);
    if (problem !== undefined) {
      throw vfError(
        parts.family,
        "ERR_VFMIG_VF_STATE",
        `the saved VF names a queue pair that is none: ${problem}`,
        { queue: pair.tx.queue },
      );
    }
  }
}

/** @throws VfmigError `ERR_VFMIG_VF_STATE` */
function complete(parts: Parts, records: Partial<VfState>): VfState {
  for (const type of RECORD_TYPES) {
    if (records[type] === undefined) {
      throw vfError(parts.family, "ERR_VFMIG_VF_STATE", `the saved VF has no record "${type}"`, {
        type,
      });
    }
  }
  const state = records as VfState;
  const { conversation, queues } = state;
  const known = new Set(conversation.pairs.map((pair) => pair.tx.queue));
  const placed = new Set(queues.positions.map((position) => position.queue));
  if (known.size !== conversation.pairs.length || !same(known, placed)) {
    throw vfError(
      parts.family,
      "ERR_VFMIG_VF_STATE",
      "the saved VF's queues and positions do not match",
      {
        configured: [...known],
        positions: [...placed],
      },
    );
  }
  return state;
}

function same(a: ReadonlySet<number>, b: ReadonlySet<number>): boolean {
  return a.size === b.size && [...a].every((queue) => b.has(queue));
}

/** Has the PF agree to the saved conversation; a VF that no guest talked to has none. */
async function agree(
  parts: Parts,
  conversation: ConversationState,
  signal: AbortSignal,
): Promise<void> {
  const { mailbox, queues, context, session } = parts;
  await freshVf(parts, signal);
  session.touched = true;
  await ready(parts, signal);
  const granted = await negotiate(parts, conversation, signal);
  if (granted === undefined) {
    return;
  }
  const options = { timeoutMs: context.options.pfTimeoutMs, signal };
  queues.adopt(queues.build({ pairs: conversation.pairs }));
  // All is sent at once: a PF takes requests in their order, and what is refused ends the load.
  const offloads = askOffloads(parts, granted, signal);
  const asked = repeatedRequests(mailbox.conversation, granted).map(
    async ({ opcode, body, optional }) => {
      try {
        await mailbox.demand(opcode, body, options);
      } catch (error) {
        if (optional !== true || !isRefusal(error)) {
          throw error;
        }
      }
    },
  );
  const [offered] = await Promise.all([offloads, ...asked]);
  const target = { ...offersOf(granted, context.options.uncarried), ...offered };
  refuseLess(parts, target, { offloads: true });
}

/** Puts back what the guest sees of the function: registers, vectors, mailbox, its place in rings. */
function restore(parts: Parts, state: VfState): void {
  const { config, registers, queues, vectors, mailbox, session } = parts;
  config.setBusMaster(state.function.busMaster);
  for (const { offset, value } of state.function.rssRegisters) {
    registers.write(offset, value);
  }
  vectors.map(mailbox.conversation.vectors.values());
  vectors.load(state.vectors.vectors);
  queues.tails.load(state.queues.tails);
  queues.relays.place(state.queues.positions);
  mailbox.virtual.load(state.mailbox.registers);
  mailbox.vector.load(state.mailbox.vector);
  const backlog = splitMailboxState(state.mailbox);
  mailbox.restore(backlog);
  session.outstanding = backlog.outstanding;
  session.ringIndices = queues.relays.indices();
}
