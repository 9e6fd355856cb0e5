import type { StateLoader, StateRecord } from "@vfmig/core";
import { igbError } from "../errors.ts";
import type { Parts } from "../parts.ts";
import { judgeBuffers, judgeRing } from "../queues/judge.ts";
import { type IgbState, parseRecord, RECORD_TYPES } from "../state/schema.ts";
import { claim, freshVf } from "./address.ts";

/** Takes a saved VF: keeps the records, then has this host's PF agree to all that the other had. */
export class Loader implements StateLoader {
  readonly #parts: Parts;
  readonly #records: Partial<IgbState> = {};

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  record(record: StateRecord): void {
    Object.assign(this.#records, parseRecord(record.type, record.value));
  }

  async commit(signal: AbortSignal): Promise<void> {
    const state = complete(this.#records);
    const { mailbox, session, context } = this.#parts;
    try {
      mailbox.conversation.load(state.conversation);
      await claim(this.#parts, signal);
      restore(this.#parts, state);
      session.loaded = true;
    } catch (error) {
      context.logger.warn("the state could not be taken; the VF is reset", { cause: error });
      mailbox.forget();
      await freshVf(this.#parts).catch(() => undefined);
      throw error;
    }
  }

  abort(): void {}
}

/** @throws VfmigError `ERR_VFMIG_VF_STATE` */
function complete(records: Partial<IgbState>): IgbState {
  for (const type of RECORD_TYPES) {
    if (records[type] === undefined) {
      throw igbError("ERR_VFMIG_VF_STATE", `the saved VF has no record "${type}"`, { type });
    }
  }
  // Each of them is there, and was checked when it came.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  const state = records as IgbState;
  for (const [name, queue] of Object.entries(state.queues)) {
    const problem = queue.position === null ? undefined : judgeQueue(queue);
    if (problem !== undefined) {
      throw igbError("ERR_VFMIG_VF_STATE", `the saved VF's ${name} queue is none: ${problem}`, {
        queue: name,
      });
    }
  }
  return state;
}

function judgeQueue(queue: IgbState["queues"]["rx" | "tx"]): string | undefined {
  const { position, count } = queue;
  const base = queue.baseLow + queue.baseHigh * 2 ** 32;
  const problem =
    judgeRing({ base, count }) ?? ("srrctl" in queue ? judgeBuffers(queue.srrctl) : undefined);
  if (problem !== undefined || position === null) return problem;
  const outside = position.complete >= count || position.tail >= count;
  return outside ? `its position lies outside its ${count} descriptors` : undefined;
}

/** Puts back what the guest sees of the function, and its place in the rings. */
function restore(parts: Parts, state: IgbState): void {
  const { config, mailbox, vectors, statistics, tx, rx, session } = parts;
  config.setBusMaster(state.function.busMaster);
  statistics.load(state.function.statistics);
  mailbox.load(state.mailbox);
  vectors.load(state.vectors);
  tx.load(state.queues.tx);
  rx.load(state.queues.rx);
  session.ringIndices = tx.enabled || rx.enabled ? [{ queue: 0, tx: tx.index, rx: rx.index }] : [];
}
