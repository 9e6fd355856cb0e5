import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  RX_FLEX_STATUS,
  flexStatus,
  readRxFlexBack,
  writeRxFlexBack,
} from "../descriptors/rx-flex.ts";
import { RX_STATUS } from "../descriptors/rx.ts";
import {
  buildQosCaps,
  buildQuanta,
  buildQueueRates,
  parseQosCaps,
  parseQuanta,
  parseQueueRates,
} from "./qos.ts";
import { buildRssConfig, parseRssConfig } from "./rss-config.ts";
import { buildSupportedRxdids, parseSupportedRxdids } from "./rx-formats.ts";
import {
  buildVlanCaps,
  buildVlanSetting,
  buildVlanV2List,
  parseVlanCaps,
  parseVlanSetting,
  parseVlanV2List,
  vlanEthertype,
  vlanEthertypeBit,
} from "./vlan-v2.ts";

const u8 = fc.integer({ min: 0, max: 0xff });
const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const support = fc.record({ outer: u32, inner: u32 });
const tag = fc.record({ tci: u16, tciMask: u16, tpid: u16 });

const refused = expect.objectContaining({ code: "ERR_VFMIG_VIRTCHNL_BODY" });

describe("bodies of offload requests", () => {
  test("come back as they were built, in the lengths of the protocol", () => {
    fc.assert(
      fc.property(
        fc.record({
          filtering: support,
          filteringInit: u32,
          maxFilters: u16,
          stripping: support,
          insertion: support,
          offloadInit: u32,
          ethertypeMatch: u8,
        }),
        fc.record({
          vport: u16,
          filters: fc.array(fc.record({ inner: tag, outer: tag }), { minLength: 1, maxLength: 20 }),
        }),
        fc.record({ outer: u32, inner: u32, vport: u16 }),
        fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        (caps, list, setting, formats) => {
          expect(buildVlanCaps(caps)).toHaveLength(40);
          expect(parseVlanCaps(buildVlanCaps(caps))).toEqual(caps);
          expect(buildVlanV2List(list)).toHaveLength(8 + 32 * list.filters.length);
          expect(parseVlanV2List(buildVlanV2List(list))).toEqual(list);
          expect(buildVlanSetting(setting)).toHaveLength(16);
          expect(parseVlanSetting(buildVlanSetting(setting))).toEqual(setting);
          expect(parseSupportedRxdids(buildSupportedRxdids(formats))).toBe(formats);
        },
      ),
      { numRuns: 200 },
    );
  });

  test("of QOS and RSS flows too", () => {
    const rates = fc.record({ queue: u16, trafficClass: u8, committed: u32, peak: u32 });
    fc.assert(
      fc.property(
        fc.record({
          vsiId: u16,
          classes: fc.array(
            fc.record({
              trafficClass: u8,
              priorities: u8,
              arbiter: u8,
              weight: u8,
              committed: u32,
              peak: u32,
            }),
            { maxLength: 8 },
          ),
        }),
        fc.record({ vsiId: u16, rates: fc.array(rates, { minLength: 1, maxLength: 16 }) }),
        fc.record({ quanta: u16, firstQueue: u16, queues: u16 }),
        fc.record({
          tunnelLevel: u8,
          algorithm: fc.integer({ min: -5, max: 5 }),
          headers: fc.array(fc.record({ type: fc.nat(100), fields: u32 }), { maxLength: 32 }),
        }),
        (caps, queues, quanta, flow) => {
          expect(parseQosCaps(buildQosCaps(caps))).toEqual(caps);
          expect(parseQueueRates(buildQueueRates(queues))).toEqual(queues);
          expect(parseQuanta(buildQuanta(quanta))).toEqual(quanta);
          expect(buildRssConfig(flow)).toHaveLength(2444);
          expect(parseRssConfig(buildRssConfig(flow))).toEqual(flow);
        },
      ),
      { numRuns: 200 },
    );
  });

  test("of any bytes are read, or refused as a body", () => {
    const parsers = [
      parseVlanCaps,
      parseVlanV2List,
      parseVlanSetting,
      parseSupportedRxdids,
      parseQosCaps,
      parseQueueRates,
      parseQuanta,
      parseRssConfig,
    ];
    fc.assert(
      fc.property(fc.constantFrom(...parsers), fc.uint8Array({ maxLength: 300 }), (parse, body) => {
        try {
          parse(body);
        } catch (error) {
          expect(error).toEqual(refused);
        }
      }),
      { numRuns: 1000 },
    );
    const raw = buildRssConfig({ tunnelLevel: 0, algorithm: 0, headers: [] });
    raw[4] = 33;
    expect(() => parseRssConfig(raw)).toThrow(refused);
    expect(() => parseVlanV2List(new Uint8Array(8))).toThrow(refused);
  });

  test("name ethertypes by one bit each", () => {
    expect([1, 2, 4, 3, 0].map((bits) => vlanEthertype(bits))).toEqual([
      0x8100, 0x88a8, 0x9100, 0, 0,
    ]);
    expect([0x8100, 0x88a8, 0x9100, 0x0800].map((type) => vlanEthertypeBit(type))).toEqual([
      1, 2, 4, 0,
    ]);
  });
});

describe("the flexible NIC write-back", () => {
  test("comes back as it was written, with DD", () => {
    fc.assert(
      fc.property(
        fc.record({
          status: fc.integer({ min: 0, max: 0x3fff }),
          length: fc.integer({ min: 0, max: 0x3fff }),
          packetType: fc.integer({ min: 0, max: 0x3ff }),
          hash: u32,
          tag: u16,
          tag2: fc.integer({ min: -1, max: 0xffff }),
        }),
        (value) => {
          const data = new DataView(new ArrayBuffer(48));
          for (let at = 0; at < 48; at++) data.setUint8(at, 0xee);
          writeRxFlexBack(data, 8, value);
          const status = value.status | RX_FLEX_STATUS.DD;
          expect(readRxFlexBack(data, 8)).toEqual({ ...value, status });
          expect([data.getUint8(7), data.getUint8(8), data.getUint8(40)]).toEqual([0xee, 2, 0xee]);
        },
      ),
      { numRuns: 200 },
    );
  });

  test("says what a legacy status says", () => {
    expect(flexStatus(RX_STATUS.DD | RX_STATUS.EOP)).toBe(RX_FLEX_STATUS.DD | RX_FLEX_STATUS.EOF);
    expect(flexStatus(RX_STATUS.L3L4P | RX_STATUS.L4E | RX_STATUS.IPE)).toBe(
      RX_FLEX_STATUS.L3L4P | RX_FLEX_STATUS.L4E | RX_FLEX_STATUS.IPE,
    );
    expect(flexStatus(RX_STATUS.FLTSTAT_RSS)).toBe(RX_FLEX_STATUS.RSS_VALID);
    expect(flexStatus(0x1000)).toBe(0);
  });
});
