import type { StateLoader, StateRecord } from "@vfmig/core";
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

/** Takes a saved VF: keeps the records, then has this host's PF agree to all that the other had. */
export class Loader implements StateLoader {
  readonly #parts: Parts;
  readonly #records: Partial<VfState> = {};

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  record(record: StateRecord): void {
    Object.assign(this.#records, parseRecord(record.type, record.value));
  }

  async commit(signal: AbortSignal): Promise<void> {
    const state = complete(this.#parts, this.#records);
    const { config, session, mailbox, context } = this.#parts;
    const release = config.hold();
    try {
      await freshVf(this.#parts, signal);
      session.touched = true;
      await replay(this.#parts, state, signal);
      restore(this.#parts, state);
      session.loaded = true;
    } catch (error) {
      context.logger.warn("the state could not be taken; the VF is reset", { cause: error });
      mailbox.conversation.clear();
      await freshVf(this.#parts, new AbortController().signal).catch(() => {});
      this.#parts.queues.reset();
      throw error;
    } finally {
      release();
    }
  }

  abort(): void {}
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
  for (const pair of conversation.pairs) {
    const problem =
      judgePair(pair, parts.family) ?? judgeFormat(pair, conversation.resources?.caps ?? 0);
    if (problem !== undefined) {
      throw vfError(
        parts.family,
        "ERR_VFMIG_VF_STATE",
        `the saved VF names a queue pair that is none: ${problem}`,
        {
          queue: pair.tx.queue,
        },
      );
    }
  }
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
async function replay(parts: Parts, state: VfState, signal: AbortSignal): Promise<void> {
  const { mailbox, queues, context } = parts;
  await ready(parts, signal);
  const granted = await negotiate(parts, state.conversation, signal);
  if (granted === undefined) {
    return;
  }
  const options = { timeoutMs: context.options.pfTimeoutMs, signal };
  queues.adopt(queues.build({ pairs: state.conversation.pairs }));
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
  const [offered] = await Promise.all([offloads, ...asked, enableEmpty(parts, signal)]);
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
  queues.loadTails(state.queues.tails);
  queues.place(state.queues.positions);
  mailbox.virtual.load(state.mailbox.registers);
  mailbox.vector.load(state.mailbox.vector);
  const backlog = splitMailboxState(state.mailbox);
  mailbox.restore(backlog);
  session.outstanding = backlog.outstanding;
  session.ringIndices = queues.indices();
}
