import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  buildEvent,
  buildHena,
  buildIrqMap,
  buildMacList,
  buildPromiscuous,
  buildQueueConfig,
  buildQueueSelect,
  buildRequestQueues,
  buildResources,
  buildResourcesRequest,
  buildRssHashFunction,
  buildRssKey,
  buildRssLut,
  buildStats,
  buildVersion,
  buildVlanList,
  capabilityNames,
  IAVF_6_1_CAPS,
  parseEvent,
  parseHena,
  parseIrqMap,
  parseMacList,
  parsePromiscuous,
  parseQueueConfig,
  parseQueueSelect,
  parseRequestQueues,
  parseResources,
  parseResourcesRequest,
  parseRssHashFunction,
  parseRssKey,
  parseRssLut,
  parseStats,
  parseVersion,
  parseVlanList,
  STATS_WORDS,
  translateVsiId,
  VIRTCHNL_OP,
  vsiIdOffsets,
  buildRssConfig,
  buildVlanSetting,
  parseVlanSetting,
} from "../index.ts";

const u8 = fc.integer({ min: 0, max: 0xff });
const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const s32 = fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff });
const address = fc.integer({ min: 0, max: 2 ** 52 });
const mac = fc
  .uint8Array({ minLength: 6, maxLength: 6 })
  .map((bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(":"));

const tx = fc.record({
  vsiId: u16,
  queue: u16,
  length: u16,
  headWriteBack: fc.boolean(),
  base: address,
  headAddress: address,
});
const rx = fc.record({
  vsiId: u16,
  queue: u16,
  length: u32,
  headerSize: u16,
  split: fc.boolean(),
  bufferSize: u32,
  maxPacket: u32,
  crcDisable: u8,
  rxdid: u8,
  flags: u8,
  base: address,
  splitPosition: s32,
});
const map = fc.record({
  vsiId: u16,
  vector: u16,
  rxQueues: u16,
  txQueues: u16,
  rxItr: u16,
  txItr: u16,
});
const resources = fc.record({
  queuePairs: u16,
  maxVectors: u16,
  maxFrame: u16,
  caps: u32,
  rssKeySize: u32,
  rssLutSize: u32,
  vsiId: u16,
  vsiType: s32,
  qset: u16,
  mac,
});
const stats = fc
  .tuple(...STATS_WORDS.map(() => fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })))
  .map((words) => Object.fromEntries(STATS_WORDS.map((name, index) => [name, words[index] ?? 0n])));

interface Family {
  readonly values: fc.Arbitrary<unknown>;
  readonly build: (value: never) => Uint8Array;
  readonly parse: (body: Uint8Array) => unknown;
}

function family<T>(
  values: fc.Arbitrary<T>,
  build: (value: T) => Uint8Array,
  parse: (body: Uint8Array) => unknown,
): Family {
  return { values, build, parse };
}

const families: Readonly<Record<string, Family>> = {
  version: family(fc.record({ major: u32, minor: u32 }), buildVersion, parseVersion),
  "resources request": family(u32, buildResourcesRequest, parseResourcesRequest),
  resources: family(resources, (value) => buildResources(value, 36), parseResources),
  "request queues": family(u16, buildRequestQueues, parseRequestQueues),
  "queue configuration": family(
    fc.record({
      vsiId: u16,
      pairs: fc.array(fc.record({ tx, rx }), { minLength: 1, maxLength: 16 }),
    }),
    buildQueueConfig,
    parseQueueConfig,
  ),
  "queue select": family(
    fc.record({ vsiId: u16, rxQueues: u32, txQueues: u32 }),
    buildQueueSelect,
    parseQueueSelect,
  ),
  "irq map": family(fc.array(map, { minLength: 1, maxLength: 64 }), buildIrqMap, parseIrqMap),
  "MAC list": family(
    fc.record({
      vsiId: u16,
      filters: fc.array(fc.record({ mac, kind: u8 }), { minLength: 1, maxLength: 30 }),
    }),
    buildMacList,
    parseMacList,
  ),
  "VLAN list": family(
    fc.record({
      vsiId: u16,
      ids: fc.array(fc.integer({ min: 0, max: 4095 }), { minLength: 1, maxLength: 30 }),
    }),
    buildVlanList,
    parseVlanList,
  ),
  promiscuous: family(fc.record({ vsiId: u16, flags: u16 }), buildPromiscuous, parsePromiscuous),
  "RSS key": family(
    fc.record({ vsiId: u16, key: fc.uint8Array({ minLength: 1, maxLength: 64 }) }),
    buildRssKey,
    parseRssKey,
  ),
  "RSS table": family(
    fc.record({ vsiId: u16, lut: fc.uint8Array({ minLength: 1, maxLength: 512 }) }),
    buildRssLut,
    parseRssLut,
  ),
  "RSS function": family(
    fc.record({ vsiId: u16, algorithm: u16 }),
    buildRssHashFunction,
    parseRssHashFunction,
  ),
  "hash types": family(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), buildHena, parseHena),
  event: family(
    fc.record({ event: s32, speed: u32, linkUp: fc.boolean(), severity: s32 }),
    buildEvent,
    parseEvent,
  ),
  statistics: family(stats, (value) => buildStats(value as never), parseStats),
};

describe.each(Object.entries(families))("the body of %s", (_name, { values, build, parse }) => {
  test("reads back what was written", () => {
    fc.assert(
      fc.property(values, (value) => {
        expect(parse(build(value as never))).toEqual(value);
      }),
      { numRuns: 50 },
    );
  });

  test("is refused with a byte more or less, and any bytes are read or refused, never worse", () => {
    fc.assert(
      fc.property(values, fc.uint8Array({ maxLength: 200 }), (value, noise) => {
        const body = build(value as never);
        const longer = new Uint8Array(body.length + 1);
        longer.set(body);
        for (const wrong of [body.subarray(0, -1), longer]) {
          // A reply with resources may be padded; all others have one length.
          if (_name !== "resources" || wrong.length < 36) {
            expect(() => parse(wrong)).toThrow(
              expect.objectContaining({ code: "ERR_VFMIG_VIRTCHNL_BODY" }),
            );
          }
        }
        let code = "ERR_VFMIG_VIRTCHNL_BODY";
        try {
          parse(noise);
        } catch (error) {
          code = (error as { code: string }).code;
        }
        expect(code).toBe("ERR_VFMIG_VIRTCHNL_BODY");
      }),
      { numRuns: 50 },
    );
  });
});

describe("legacy lengths", () => {
  test("are those of the wire, one element too many included", () => {
    const pair = {
      tx: { vsiId: 1, queue: 0, length: 512, headWriteBack: false, base: 0x1000, headAddress: 0 },
      rx: {
        vsiId: 1,
        queue: 0,
        length: 512,
        headerSize: 0,
        split: false,
        bufferSize: 1536,
        maxPacket: 1534,
        crcDisable: 0,
        rxdid: 0,
        flags: 0,
        base: 0x2000,
        splitPosition: 0,
      },
    };
    const vector = { vsiId: 1, vector: 1, rxQueues: 1, txQueues: 1, rxItr: 0, txItr: 1 };
    expect(buildQueueConfig({ vsiId: 1, pairs: [pair, pair] })).toHaveLength(72 + 128);
    expect(buildIrqMap([vector, vector])).toHaveLength(14 + 24);
    const filters = [{ mac: "02:00:00:00:00:01", kind: 1 }];
    expect(buildMacList({ vsiId: 1, filters })).toHaveLength(20);
    expect(buildVlanList({ vsiId: 1, ids: [5, 6] })).toHaveLength(10);
    expect(buildRssKey({ vsiId: 1, key: new Uint8Array(52) })).toHaveLength(57);
    expect(buildRssLut({ vsiId: 1, lut: new Uint8Array(64) })).toHaveLength(69);
  });
});

describe("a VSI id", () => {
  test("is translated wherever a request names it, and back again", () => {
    fc.assert(
      fc.property(
        fc.array(map, { minLength: 1, maxLength: 8 }),
        fc.integer({ min: 1, max: 1023 }),
        fc.integer({ min: 1, max: 1023 }),
        (maps, guest, host) => {
          const body = buildIrqMap(maps.map((element) => ({ ...element, vsiId: guest })));
          const there = translateVsiId(VIRTCHNL_OP.CONFIG_IRQ_MAP, body, guest, host);
          expect(parseIrqMap(there).every((element) => element.vsiId === host)).toBe(true);
          expect(translateVsiId(VIRTCHNL_OP.CONFIG_IRQ_MAP, there, host, guest)).toEqual(body);
        },
      ),
    );
  });

  test("of somebody else does not become the host's own", () => {
    const body = buildPromiscuous({ vsiId: 9, flags: 1 });
    const opcode = VIRTCHNL_OP.CONFIG_PROMISCUOUS_MODE;
    expect(parsePromiscuous(translateVsiId(opcode, body, 7, 9)).vsiId).toBe(7);
    expect(parsePromiscuous(translateVsiId(opcode, body, 7, 8)).vsiId).toBe(9);
  });

  test("is looked for only inside the body, whatever the body's counts claim", () => {
    fc.assert(
      fc.property(u8, fc.uint8Array({ maxLength: 300 }), (opcode, body) => {
        expect(vsiIdOffsets(opcode, body).every((at) => at + 2 <= body.length)).toBe(true);
      }),
    );
  });
});

test("capability bits have names, and a bit without one its number", () => {
  expect(capabilityNames(IAVF_6_1_CAPS)).toContain("ADQ");
  expect(capabilityNames(0x8000_0004)).toEqual(["bit 2", "PTP"]);
});

describe("the VSI id of offload requests", () => {
  const settings = [54, 55, 56, 57];

  test("stands behind the ethertypes of a VLAN V2 setting", () => {
    const body = buildVlanSetting({ outer: 7, inner: 7, vport: 7 });
    for (const opcode of settings) {
      expect(parseVlanSetting(translateVsiId(opcode, body, 7, 9))).toEqual({
        outer: 7,
        inner: 7,
        vport: 9,
      });
      expect(vsiIdOffsets(opcode, body.subarray(0, 9))).toEqual([]);
    }
  });

  test("stands first in filters, flow director rules and queue rates", () => {
    for (const opcode of [47, 48, 52, 53, 112]) {
      expect(vsiIdOffsets(opcode, new Uint8Array(16))).toEqual([0]);
    }
  });

  test("is in no RSS flow, quantum or question, which pass untouched", () => {
    const flow = buildRssConfig({
      tunnelLevel: 7,
      headers: [{ type: 4, fields: 3 }],
      algorithm: 0,
    });
    for (const opcode of [44, 45, 46, 51, 66, 113]) {
      expect(translateVsiId(opcode, flow, 7, 9)).toEqual(flow);
    }
  });
});
