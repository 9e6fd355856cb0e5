import { buildMacList, IAVF_7_2_CAPS, VF_CAP, VIRTCHNL_OP } from "@vfmig/iavf";
import { describe, expect, test } from "vitest";
import { facets, move } from "./rig/move.ts";
import { FAMILIES } from "./rig/family.ts";
import { type ModelOptions, World, type WorldOptions } from "./rig/world.ts";

describe.each(FAMILIES)("$name", (family) => {
  const create = (options: WorldOptions = {}): Promise<World> =>
    World.create({ family, ...options });

  async function reasons(target: ModelOptions): Promise<{ fields: string[]; world: World }> {
    const world = await create({ models: [{}, target] });
    world.traffic(100);
    const source = await world.settle(world.hostAt(0).device.description.describe());
    const found = await world.settle(world.hostAt(1).device.description.compare(source));
    expect(world.host.device.migration?.state).toBe("running");
    return { fields: found.map(({ field }) => field), world };
  }

  describe("asking a target before the source stops", () => {
    test("finds nothing against an equal one, and asking leaves it fit for a guest", async () => {
      const { fields, world } = await reasons({});
      expect(fields).toEqual([]);
      await move(world, 1);
      world.traffic(100);
      world.quiesce();
      expect(world.wrongs()).toEqual([]);
      await world.close();
    });

    test.each([
      ["fewer queue pairs", { queuePairs: 2, maxQueuePairs: 3 }, ["queues.pairs"]],
      ["fewer vectors", { vectors: 3 }, ["vectors"]],
      ["shorter frames", { maxFrame: 1518 }, ["maxFrame"]],
      [
        "fewer capabilities",
        { grantedCaps: (IAVF_7_2_CAPS & ~VF_CAP.RSS_PF) >>> 0 },
        ["capabilities.RSS_PF"],
      ],
      ["another address that its host has set", { mac: "02:00:00:00:00:77" }, ["policy.mac"]],
    ] as const)(
      "finds a target with %s, and the source goes on",
      async (_name, target, expected) => {
        const { fields, world } = await reasons(target);
        expect(fields).toEqual(expected);
        world.traffic(200);
        world.quiesce();
        expect(world.wrongs()).toEqual([]);
        await world.close();
      },
    );

    test("finds that a target is not trusted, where the guest has more than such a VF may", async () => {
      const trusted = { trusted: true };
      const many = Array.from({ length: 20 }, (_, n) => `03:00:00:00:00:${n + 10}`);
      const world = await create({
        models: [trusted, {}, trusted],
        driver: { multicast: many.slice(0, 16) },
      });
      await world.settle(
        world.driver.ask(VIRTCHNL_OP.ADD_ETH_ADDR, (vsiId) =>
          buildMacList({ vsiId, filters: many.slice(16).map((mac) => ({ mac, kind: 2 })) }),
        ),
      );
      const source = await world.settle(world.hostAt(0).device.description.describe());
      const found = async (host: number): Promise<readonly string[]> =>
        (await world.settle(world.hostAt(host).device.description.compare(source))).map(
          ({ field }) => field,
        );
      expect(await found(1)).toContain("policy.macs");
      expect(await found(2)).toEqual([]);
      await world.close();
    });

    test("leaves policy alone where it may not be asked", async () => {
      const world = await create({
        models: [{}, { mac: "02:00:00:00:00:77", maxQueuePairs: 8 }],
        options: { askPolicy: false },
      });
      const { offers } = await world.settle(world.hostAt(1).device.description.describe());
      expect(offers).not.toHaveProperty("policy");
      expect(offers).not.toHaveProperty("pairsOnRequest");
      await world.close();
    });

    test("is asked again by the load itself, which refuses and leaves the source able to go on", async () => {
      const world = await create({
        models: [{}, { vectors: 3 }],
      });
      world.traffic(100);
      await expect(move(world, 1)).rejects.toMatchObject({
        code: "ERR_VFMIG_MIGRATION_INCOMPATIBLE",
      });
      await world.settle(facets(world.hostAt(0).device).migration.setState("running"));
      world.driver.resume();
      world.traffic(300);
      world.quiesce();
      expect(world.wrongs()).toEqual([]);
      await world.close();
    });
  });

  test.runIf(family.name === "e810")(
    "a port in another VLAN mode is no target for a guest that was told of the first",
    async () => {
      const { fields, world } = await reasons({ doubleVlan: true });
      expect(fields).toContain("vlan.filtering.inner");
      await world.close();
    },
  );

  describe("what a guest is offered", () => {
    test("lacks what could not be carried, and says so", async () => {
      const world = await create({ driver: { capabilities: IAVF_7_2_CAPS } });
      const { offers, uses } = await world.settle(world.host.device.description.describe());
      expect(offers["hiddenCapabilities"]).toContain("ADQ");
      expect(uses["capabilities"]).not.toContain("ADQ");
      expect(uses["capabilities"]).toContain("REQ_QUEUES");
      expect(uses["capabilities"]).toContain("RSS_PF");
      await world.close();
    });
  });
});
