import {
  buildHena,
  buildMacList,
  buildPromiscuous,
  buildQueueSelect,
  buildRequestQueues,
  buildRssConfig,
  buildRssHashFunction,
  buildRssKey,
  buildRssLut,
  buildVlanList,
  buildVlanSetting,
  buildVlanV2List,
  IAVF_6_1_CAPS,
  IAVF_7_2_CAPS,
  MAC_KIND,
  NO_VLAN_TAG,
  statisticsWords,
  VF_CAP,
  VIRTCHNL_OP,
} from "@vfmig/iavf";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FAMILIES } from "./rig/family.ts";
import { move } from "./rig/move.ts";
import { GUEST_MAC, udp, World, type WorldOptions } from "./rig/world.ts";

type Request = readonly [operation: number, body: (vsiId: number) => Uint8Array];

/** A PF may refuse a list half done, and then nobody knows what is left of it: one address at a time. */
const macs = fc
  .uniqueArray(fc.integer({ min: 0x20, max: 0x24 }), { minLength: 1, maxLength: 1 })
  .map((list) =>
    list.map((last) => ({
      mac: `${last % 2 === 0 ? "02" : "03"}:00:00:00:00:${last.toString(16)}`,
      kind: MAC_KIND.EXTRA,
    })),
  );
const vlanIds = fc.uniqueArray(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 1 });
const ethertype = fc.constantFrom(1, 2);
const place = fc.constantFrom("outer", "inner");

function body<T>(make: (vsiId: number, value: T) => Uint8Array) {
  return (value: T) => (vsiId: number) => make(vsiId, value);
}

function requestOf<T>(
  operations: readonly number[],
  values: fc.Arbitrary<T>,
  make: (vsiId: number, value: T) => Uint8Array,
): fc.Arbitrary<Request> {
  return fc.tuple(fc.constantFrom(...operations), values.map(body(make)));
}

const none = (): Uint8Array => new Uint8Array(0);

/** What a guest may ask of its PF, in any order; much of it is refused, depending on what went before. */
const request: fc.Arbitrary<Request> = fc.oneof(
  requestOf([VIRTCHNL_OP.ADD_ETH_ADDR, VIRTCHNL_OP.DEL_ETH_ADDR], macs, (vsiId, filters) =>
    buildMacList({ vsiId, filters }),
  ),
  requestOf([VIRTCHNL_OP.ADD_VLAN, VIRTCHNL_OP.DEL_VLAN], vlanIds, (vsiId, ids) =>
    buildVlanList({ vsiId, ids }),
  ),
  requestOf(
    [VIRTCHNL_OP.ENABLE_VLAN_STRIPPING, VIRTCHNL_OP.DISABLE_VLAN_STRIPPING],
    fc.constant(0),
    none,
  ),
  requestOf([VIRTCHNL_OP.CONFIG_PROMISCUOUS_MODE], fc.integer({ min: 0, max: 3 }), (vsiId, flags) =>
    buildPromiscuous({ vsiId, flags }),
  ),
  requestOf(
    [VIRTCHNL_OP.ADD_VLAN_V2, VIRTCHNL_OP.DEL_VLAN_V2],
    fc.tuple(vlanIds, place, fc.constantFrom(0x8100, 0x88a8)),
    (vport, [ids, tag, tpid]) =>
      buildVlanV2List({
        vport,
        filters: ids.map((tci) => ({
          inner: NO_VLAN_TAG,
          outer: NO_VLAN_TAG,
          [tag]: { tci, tciMask: 0, tpid },
        })),
      }),
  ),
  requestOf(
    [
      VIRTCHNL_OP.ENABLE_VLAN_STRIPPING_V2,
      VIRTCHNL_OP.DISABLE_VLAN_STRIPPING_V2,
      VIRTCHNL_OP.ENABLE_VLAN_INSERTION_V2,
      VIRTCHNL_OP.DISABLE_VLAN_INSERTION_V2,
    ],
    fc.tuple(place, ethertype),
    (vport, [tag, type]) => buildVlanSetting({ outer: 0, inner: 0, vport, [tag]: type }),
  ),
  requestOf([VIRTCHNL_OP.CONFIG_RSS_KEY], fc.integer({ min: 0, max: 255 }), (vsiId, fill) =>
    buildRssKey({ vsiId, key: new Uint8Array(52).fill(fill) }),
  ),
  requestOf([VIRTCHNL_OP.CONFIG_RSS_LUT], fc.integer({ min: 0, max: 3 }), (vsiId, fill) =>
    buildRssLut({ vsiId, lut: new Uint8Array(64).fill(fill) }),
  ),
  requestOf([VIRTCHNL_OP.CONFIG_RSS_HFUNC], fc.constantFrom(0, 2), (vsiId, algorithm) =>
    buildRssHashFunction({ vsiId, algorithm }),
  ),
  requestOf([VIRTCHNL_OP.SET_RSS_HENA], fc.constantFrom(0n, 1n << 33n, 3n << 33n), (_vsi, bits) =>
    buildHena(bits),
  ),
  requestOf(
    [VIRTCHNL_OP.ADD_RSS_CFG, VIRTCHNL_OP.DEL_RSS_CFG],
    fc.tuple(fc.constantFrom(4, 5), fc.constantFrom(0, 6, 7, 8), fc.integer({ min: 1, max: 3 })),
    (_vsi, [network, transport, fields]) =>
      buildRssConfig({
        tunnelLevel: 0,
        headers: [network, transport]
          .filter((type) => type !== 0)
          .map((type) => ({ type, fields })),
        algorithm: 0,
      }),
  ),
);

describe.each(FAMILIES)("$name", (family) => {
  const create = (options: WorldOptions = {}): Promise<World> =>
    World.create({ family, ...options });

  const counters = async (world: World): Promise<bigint[]> => {
    const reply = await world.settle(
      world.driver.ask(VIRTCHNL_OP.GET_STATS, (vsiId) =>
        buildQueueSelect({ vsiId, rxQueues: 0, txQueues: 0 }),
      ),
    );
    return statisticsWords(reply.body);
  };

  describe("after a move the target's PF has set up", () => {
    test.each([
      ["VLAN v1", (IAVF_7_2_CAPS & ~VF_CAP.VLAN_V2) >>> 0, false],
      ["VLAN v2", IAVF_7_2_CAPS, false],
      ["VLAN v2 with two tags", IAVF_7_2_CAPS, true],
    ] as const)(
      "whatever the guest had asked of the source's, with %s",
      async (_name, capabilities, doubleVlan) => {
        await fc.assert(
          fc.asyncProperty(fc.array(request, { maxLength: 25 }), async (requests) => {
            const model = { trusted: true, doubleVlan };
            const world = await create({ models: [model, model], driver: { capabilities } });
            for (const [operation, make] of requests) {
              // oxlint-disable-next-line no-await-in-loop -- a guest has one request at a time
              await world.settle(world.driver.ask(operation, make));
            }
            const before = world.hostAt(0).model.truth.settings();
            await move(world, 1);
            expect(world.hostAt(1).model.truth.settings()).toEqual(before);
            expect(world.driver.fault).toBeUndefined();
            await world.close();
          }),
          { numRuns: 8 },
        );
      },
      60_000,
    );

    test("all of sixteen pairs on as many vectors", async () => {
      const model = { queuePairs: 16, vectors: 17 };
      const world = await create({
        models: [model, model],
        driver: { queuePairs: 16, ringSize: 64 },
      });
      world.traffic(300);
      const before = world.host.model.truth.settings();
      expect(before.rx.every(({ enabled }) => enabled)).toBe(true);
      await move(world, 1);
      world.traffic(300);
      world.quiesce();
      expect(world.host.model.truth.settings()).toEqual(before);
      expect(world.wrongs()).toEqual([]);
      await world.close();
    });
  });

  test("counters go on where they were, on the third host too, and start anew with a reset", async () => {
    const world = await create({ models: [{}, {}, {}] });
    world.traffic(300);
    world.quiesce();
    const first = await counters(world);
    // Frames that nobody asked about before the stop count as well.
    world.traffic(100);
    await move(world, 1);
    world.traffic(100);
    world.quiesce();
    const second = await counters(world);
    await move(world, 2);
    const third = await counters(world);
    expect(first[1]).toBe(300n);
    expect(second.every((word, index) => word >= (first[index] ?? 0n))).toBe(true);
    expect(third.every((word, index) => word >= (second[index] ?? 0n))).toBe(true);
    // One word counts received unicast frames: all that devices took.
    const taken = BigInt(world.taken.reduce((sum, count) => sum + count, 0));
    expect(third[1]).toBe(taken);
    await world.settle(world.driver.resetFunction());
    expect((await counters(world))[1]).toBeLessThan(10n);
    await world.close();
  });

  test("the link's state and speed are told after a move, in the words that the guest knows", async () => {
    // The source's PF grants no speeds in Mbit/s, the target's does.
    const caps = (IAVF_6_1_CAPS & ~VF_CAP.ADV_LINK_SPEED) >>> 0;
    const world = await create({
      models: [{ grantedCaps: caps }, { linkUp: false }],
    });
    expect(world.driver.linkUp).toBe(true);
    await move(world, 1);
    world.quiesce();
    expect(world.driver.linkUp).toBe(false);
    world.host.model.control.setLink(true, 10_000);
    world.quiesce();
    expect(world.driver.linkUp).toBe(true);
    expect(world.driver.linkSpeed).toBe(8);
    await world.close();
  });

  test("more pairs than the target's VF has are asked of its PF", async () => {
    const world = await create({
      models: [
        { queuePairs: 8, vectors: 9 },
        { queuePairs: 2, vectors: 9 },
      ],
      driver: { queuePairs: 8, ringSize: 64 },
    });
    world.traffic(300);
    const source = await world.settle(world.hostAt(0).device.description.describe());
    expect(await world.settle(world.hostAt(1).device.description.compare(source))).toEqual([]);
    // Asking what could be had gives it back.
    expect(world.hostAt(1).model.truth.settings().queuePairs).toBe(2);
    await move(world, 1);
    expect(world.host.model.truth.settings().queuePairs).toBe(8);
    world.traffic(300);
    world.quiesce();
    expect(world.wrongs()).toEqual([]);
    await world.close();
  });

  test("pairs that the target's PF has given away meanwhile end the load by name", async () => {
    const world = await create({
      models: [{ queuePairs: 4 }, { queuePairs: 2, maxQueuePairs: 4 }],
      driver: { ringSize: 64 },
    });
    const target = world.hostAt(1);
    const move1 = move(world, 1, {
      onStopped: () => target.model.control.setMaxQueuePairs(3),
    });
    await expect(move1).rejects.toMatchObject({ code: "ERR_VFMIG_VF_GRANTS_LESS" });
    expect(target.model.truth.settings().queuePairs).toBe(2);
    await world.close();
  });

  test("pairs that the guest has asked for itself are carried", async () => {
    const world = await create({ models: [{}, {}], driver: { queuePairs: 4 } });
    // A PF that grants this answers by a reset.
    const asked = world.driver.ask(VIRTCHNL_OP.REQUEST_QUEUES, () => buildRequestQueues(6));
    asked.catch(() => {});
    world.clock.advance(8000);
    await expect(asked).rejects.toThrow("the VF was reset before its PF had answered");
    expect(world.driver.resources?.queuePairs).toBe(6);
    world.traffic(100);
    await move(world, 1);
    expect(world.host.model.truth.settings().queuePairs).toBe(6);
    world.traffic(100);
    world.quiesce();
    expect(world.wrongs()).toEqual([]);
    await world.close();
  });

  test("a target with more pairs spreads frames over those that the guest knows", async () => {
    const world = await create({
      models: [{ queuePairs: 2 }, { queuePairs: 16 }],
      // A guest that sets up no RSS of its own.
      driver: {
        capabilities: (IAVF_6_1_CAPS & ~(VF_CAP.RSS_PF | VF_CAP.RSS_REG | VF_CAP.RSS_AQ)) >>> 0,
      },
    });
    world.traffic(200);
    await move(world, 1);
    world.traffic(200);
    world.quiesce();
    expect(Math.max(...world.host.model.truth.settings().rss.lut)).toBe(1);
    expect(world.wrongs()).toEqual([]);
    await world.close();
  });

  test("a target that would grant more is held to what the guest was granted", async () => {
    const caps = (VF_CAP.L2 | VF_CAP.RSS_PF | VF_CAP.VLAN) >>> 0;
    const world = await create({ models: [{ grantedCaps: caps }, {}] });
    const before = world.host.model.truth.settings().granted;
    await move(world, 1);
    const after = world.host.model.truth.settings().granted;
    // i40e grants this one whether it is asked for or not.
    const always = VF_CAP.ADV_LINK_SPEED;
    expect(after & ~always).toBe(before & ~always);
    world.traffic(200);
    world.quiesce();
    expect(world.wrongs()).toEqual([]);
    await world.close();
  });

  test("an address that the guest gave itself moves with it", async () => {
    const world = await create({
      models: [
        { mac: "00:00:00:00:00:00", adminMac: false },
        { mac: "02:00:00:00:00:55", adminMac: false },
      ],
      driver: { mac: GUEST_MAC },
    });
    world.traffic(100);
    await move(world, 1);
    expect(world.host.model.truth.settings().macs).toEqual([GUEST_MAC, "ff:ff:ff:ff:ff:ff"]);
    expect(world.host.port.deliver(udp(0x0b, 0x55, 1, 100))).not.toBe("accepted");
    world.traffic(100);
    world.quiesce();
    expect(world.wrongs()).toEqual([]);
    await world.close();
  });
});
