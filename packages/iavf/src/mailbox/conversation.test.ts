import { describe, expect, test } from "vitest";
import { buildPtpCaps } from "../virtchnl/ptp.ts";
import { buildRssConfig } from "../virtchnl/rss-config.ts";
import { viewOf } from "../virtchnl/body.ts";
import { VIRTCHNL_OP } from "../virtchnl/opcodes.ts";
import { buildVlanList } from "../virtchnl/filters.ts";
import { Conversation } from "./conversation.ts";
import { conversationSchema, loadConversation, saveConversation } from "./conversation-state.ts";

const NONE = new Uint8Array(0);

describe("what a guest and its PF have agreed on", () => {
  test("names a granted request that is not understood as one that cannot be carried", () => {
    const conversation = new Conversation();
    const raw = buildRssConfig({ tunnelLevel: 0, headers: [], algorithm: 0 });
    // A count above 32 announces a raw pattern.
    viewOf(raw).setInt32(4, 33, true);
    expect(() => conversation.granted(VIRTCHNL_OP.ADD_RSS_CFG, raw, NONE)).toThrow(/headers/u);
    expect([...conversation.uncarried]).toEqual([VIRTCHNL_OP.ADD_RSS_CFG]);
  });

  test("counts PTP as used only where something of it was granted", () => {
    const conversation = new Conversation();
    conversation.granted(VIRTCHNL_OP.PTP_GET_CAPS, buildPtpCaps(6), buildPtpCaps(0));
    expect(conversation.uncarried.size).toBe(0);
    conversation.granted(VIRTCHNL_OP.PTP_GET_CAPS, buildPtpCaps(6), buildPtpCaps(2));
    expect(conversation.uncarried.size).toBe(1);
  });

  test("keeps the last word on each kind of RSS flow, and no more kinds than can be carried", () => {
    const conversation = new Conversation();
    const flow = (type: number): Uint8Array =>
      buildRssConfig({ tunnelLevel: 0, headers: [{ type, fields: 3 }], algorithm: 0 });
    for (let type = 0; type < 64; type++) {
      conversation.granted(VIRTCHNL_OP.ADD_RSS_CFG, flow(type), NONE);
    }
    conversation.granted(VIRTCHNL_OP.DEL_RSS_CFG, flow(5), NONE);
    const { flows } = conversation.rssFlows;
    expect(flows).toHaveLength(64);
    expect(flows.at(-1)).toMatchObject({ add: false, headers: [{ type: 5 }] });
    expect(conversation.uncarried.size).toBe(0);
    conversation.granted(VIRTCHNL_OP.ADD_RSS_CFG, flow(64), NONE);
    expect(conversation.uncarried.size).toBe(1);
  });

  test("knows that some PFs strip tags from the first VLAN on", () => {
    for (const vlansStrip of [true, false]) {
      const conversation = new Conversation({ vlansStrip });
      const body = buildVlanList({ vsiId: 1, ids: [5] });
      conversation.granted(VIRTCHNL_OP.ADD_VLAN, body, NONE);
      expect(conversation.vlanStripping).toBe(vlansStrip ? true : undefined);
    }
  });

  test("goes on counting where another host stopped, and wraps as the words do", () => {
    const conversation = new Conversation();
    const reply = (value: bigint): Uint8Array =>
      new Uint8Array(BigUint64Array.of(value, 1n).buffer);
    conversation.statistics.answered(reply(2n ** 64n - 1n));
    const other = new Conversation();
    const saved = conversationSchema.parse(saveConversation(conversation));
    loadConversation(other, saved);
    expect(new BigUint64Array(other.statistics.answered(reply(3n)).buffer)).toEqual(
      BigUint64Array.of(2n, 2n),
    );
    expect(other.statistics.totals).toEqual([2n, 2n]);
    other.reset();
    expect(other.statistics.totals).toEqual([]);
  });
});
