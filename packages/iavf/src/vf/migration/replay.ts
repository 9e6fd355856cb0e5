import type { StateLoader, StateRecord } from "@vfmig/core";
import { loadConversation } from "../../mailbox/conversation-state.ts";
import type { Conversation } from "../../mailbox/conversation.ts";
import { splitMailboxState } from "../../mailbox/mailbox-state.ts";
import { buildMacList, buildPromiscuous, buildVlanList } from "../../virtchnl/filters.ts";
import { VIRTCHNL_OP } from "../../virtchnl/opcodes.ts";
import { buildIrqMap } from "../../virtchnl/queues.ts";
import { buildHena, buildRssHashFunction, buildRssKey, buildRssLut } from "../../virtchnl/rss.ts";
import {
  buildResourcesRequest,
  buildVersion,
  parseResources,
  type VfResources,
} from "../../virtchnl/session.ts";
import { lessThan, offersOf } from "../describe/requirements.ts";
import { vfError } from "../errors.ts";
import type { Parts } from "../parts.ts";
import { judgePair } from "../queues/judge.ts";
import { type VfState, parseRecord, RECORD_TYPES } from "../state/schema.ts";
import { enableEmpty } from "./enable.ts";
import { freshVf, ready } from "./reset-vf.ts";

/** Elements of one list message; far below what a mailbox buffer holds. */
const CHUNK = 128;

type Send = (opcode: number, body: Uint8Array) => Promise<unknown>;

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
    const problem = judgePair(pair, parts.family);
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
  loadConversation(mailbox.conversation, state.conversation);
  const { conversation } = mailbox;
  await ready(parts, signal);
  if (conversation.version === undefined) {
    return;
  }
  const options = { timeoutMs: context.options.pfTimeoutMs, signal };
  const send: Send = (opcode, body) => mailbox.demand(opcode, body, options);
  await send(VIRTCHNL_OP.VERSION, buildVersion(conversation.version));
  if (conversation.resources === undefined) {
    return;
  }
  const caps = conversation.capsAsked;
  const reply = await mailbox.demand(
    VIRTCHNL_OP.GET_VF_RESOURCES,
    caps === undefined ? new Uint8Array(0) : buildResourcesRequest(caps & parts.family.carriedCaps),
    options,
  );
  const granted = parseResources(reply);
  refuseLess(parts, conversation.resources, granted);
  mailbox.setVsi(conversation.resources.vsiId, granted.vsiId);
  const asked = [
    ...sendFilters(conversation, granted, send),
    ...sendVectorsAndRss(conversation, granted.vsiId, send),
  ];
  queues.adopt(queues.build({ pairs: state.conversation.pairs }));
  await Promise.all([...asked, enableEmpty(parts, signal)]);
}

/** @throws VfmigError `ERR_VFMIG_VF_GRANTS_LESS` */
function refuseLess(parts: Parts, source: VfResources, target: VfResources): void {
  const [less] = lessThan(offersOf(source, parts.family), offersOf(target, parts.family));
  if (less !== undefined) {
    throw vfError(
      parts.family,
      "ERR_VFMIG_VF_GRANTS_LESS",
      `this host's PF grants less: ${less.reason}`,
      {
        field: less.field,
        source: less.source,
        target: less.target,
      },
    );
  }
}

function sendFilters(
  conversation: Conversation,
  granted: VfResources,
  send: Send,
): Promise<unknown>[] {
  const { vsiId } = granted;
  const sent: Promise<unknown>[] = [];
  if (granted.mac !== "00:00:00:00:00:00" && !conversation.macs.has(granted.mac)) {
    const filters = [{ mac: granted.mac, kind: 1 }];
    // A PF may refuse to give its own address up; the guest then hears more than it asked for.
    sent.push(
      send(VIRTCHNL_OP.DEL_ETH_ADDR, buildMacList({ vsiId, filters })).catch(() => undefined),
    );
  }
  const macs = Array.from(conversation.macs, ([mac, kind]) => ({ mac, kind }));
  for (const filters of chunks(macs.filter(({ mac }) => mac !== granted.mac))) {
    sent.push(send(VIRTCHNL_OP.ADD_ETH_ADDR, buildMacList({ vsiId, filters })));
  }
  for (const ids of chunks([...conversation.vlans])) {
    sent.push(send(VIRTCHNL_OP.ADD_VLAN, buildVlanList({ vsiId, ids })));
  }
  if (conversation.vlanStripping !== undefined) {
    const on = conversation.vlanStripping;
    const opcode = on ? VIRTCHNL_OP.ENABLE_VLAN_STRIPPING : VIRTCHNL_OP.DISABLE_VLAN_STRIPPING;
    sent.push(send(opcode, new Uint8Array(0)));
  }
  if (conversation.promiscuous !== undefined) {
    const body = buildPromiscuous({ vsiId, flags: conversation.promiscuous });
    sent.push(send(VIRTCHNL_OP.CONFIG_PROMISCUOUS_MODE, body));
  }
  return sent;
}

function sendVectorsAndRss(
  conversation: Conversation,
  vsiId: number,
  send: Send,
): Promise<unknown>[] {
  const { vectors, rssKey, rssLut, rssFunction, hena } = conversation;
  const sent: Promise<unknown>[] = [];
  if (vectors.size > 0) {
    const maps = Array.from(vectors.values(), (map) => ({ ...map, vsiId }));
    sent.push(send(VIRTCHNL_OP.CONFIG_IRQ_MAP, buildIrqMap(maps)));
  }
  if (rssFunction !== undefined) {
    const body = buildRssHashFunction({ vsiId, algorithm: rssFunction });
    sent.push(send(VIRTCHNL_OP.CONFIG_RSS_HFUNC, body));
  }
  if (hena !== undefined) {
    sent.push(send(VIRTCHNL_OP.SET_RSS_HENA, buildHena(hena)));
  }
  if (rssKey !== undefined) {
    sent.push(send(VIRTCHNL_OP.CONFIG_RSS_KEY, buildRssKey({ vsiId, key: rssKey })));
  }
  if (rssLut !== undefined) {
    sent.push(send(VIRTCHNL_OP.CONFIG_RSS_LUT, buildRssLut({ vsiId, lut: rssLut })));
  }
  return sent;
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

function chunks<T>(items: readonly T[]): T[][] {
  return Array.from({ length: Math.ceil(items.length / CHUNK) }, (_, index) =>
    items.slice(index * CHUNK, (index + 1) * CHUNK),
  );
}
