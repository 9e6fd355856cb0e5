import { type MigrationFacet, PCI_REGION, VfmigError } from "@vfmig/core";
import { buildQueueSelect, rxTail, VIRTCHNL_OP } from "@vfmig/iavf";
import { describe, expect, test } from "vitest";
import { directDoorbells, doorbells, mappedPages, untilMapped, userOf } from "./rig/doorbells.ts";
import { FAMILIES } from "./rig/family.ts";
import { facets, move } from "./rig/move.ts";
import { flow, pass, turn, under, untilDirect } from "./rig/shadow.ts";
import { World, type WorldOptions } from "./rig/world.ts";

describe.each(FAMILIES)("$name", (family) => {
  const create = (options: WorldOptions = {}): Promise<World> =>
    World.create(
      directDoorbells({
        family,
        limits: { unmapMs: 30 },
        ...options,
        driver: { ringSize: 64, ...options.driver },
      }),
    );

  describe("doorbells that a guest rings by itself, and its VF is reset", () => {
    test.each(["prompt", "late", "never"] as const)(
      "at its own wish, by a user that lets go %s: they are found again, or nobody claims to know",
      async (manners) => {
        const world = await create({ driver: { queuePairs: 2, ringSize: 160 } });
        await untilMapped(world);
        await flow(world, 300);
        world.quiesce();
        userOf(world).manners = manners;
        await world.settle(world.driver.resetFunction());
        expect(mappedPages(world).length).toBe(manners === "never" ? 3 : 0);
        // What the guest wrote by its mapping is not written over with what was known before.
        expect(rxTails(world)).toEqual(
          world.driver.indices.map(({ rxNextToUse }) => rxNextToUse & ~7),
        );
        await flow(world, 200);
        userOf(world).manners = "prompt";
        await untilSaved(world);
        await untilDirect(world);
        await untilMapped(world);
        await move(world, 1);
        await flow(world, 300);
        world.quiesce();
        expect(world.wrongs()).toEqual([]);
        await world.close();
      },
    );

    test.each([true, false])("by its PF (announced: %s)", async (announce) => {
      const world = await create();
      await untilMapped(world);
      world.quiesce();
      world.host.model.control.resetVf(announce);
      for (let ms = 0; ms < 12_000; ms += 50) {
        world.clock.advance(50);
        // oxlint-disable-next-line no-await-in-loop -- the guest brings its VF up again
        await turn();
      }
      expect(world.driver).toMatchObject({ state: "running", linkUp: true });
      await flow(world, 1000);
      await untilMapped(world);
      await move(world, 1);
      await flow(world, 300);
      world.quiesce();
      expect(world.wrongs()).toEqual([]);
      await world.close();
    });

    test("by Device Control are taken back", async () => {
      const world = await create();
      await untilMapped(world);
      world.quiesce();
      // A guest that says nothing of it.
      world.driver.pause();
      const { device } = world.host;
      const control = new Uint8Array(2);
      device.readRegion(PCI_REGION.CONFIG, 0xa8, control);
      control[1] = (control[1] ?? 0) | 0x80;
      device.writeRegion(PCI_REGION.CONFIG, 0xa8, control);
      await pass(world, 200);
      expect([mappedPages(world), doorbells(world).now]).toEqual([[], "trapped"]);
      await world.close();
    });
  });

  test("Queues that are stopped and started again by a user that keeps its mappings are not guessed", async () => {
    const world = await create({ driver: { queuePairs: 1 } });
    await untilMapped(world);
    world.quiesce();
    world.clock.advance(10);
    userOf(world).manners = "never";
    const all = (vsiId: number): Uint8Array =>
      buildQueueSelect({ vsiId, rxQueues: 1, txQueues: 1 });
    await world.settle(world.driver.ask(VIRTCHNL_OP.DISABLE_QUEUES, all));
    expect(mappedPages(world).length).toBe(3);
    userOf(world).manners = "prompt";
    userOf(world).fetch();
    await pass(world, 100);
    expect(mappedPages(world)).toEqual([]);
    expect(doorbells(world).why).toContain("no queues run");
    await world.close();
  });
});

/** As the device has them, but for the bits that it does not use. */
function rxTails(world: World): number[] {
  const tail = new Uint8Array(4);
  return world.driver.indices.map(({ queue }) => {
    world.host.model.device.readRegion(PCI_REGION.BAR0, rxTail(queue), tail);
    return new DataView(tail.buffer).getUint32(0, true) & ~7;
  });
}

/** Saves the device where it runs, as soon as its rings have one answer; nothing else may refuse. */
async function untilSaved(world: World): Promise<void> {
  const { migration } = facets(world.host.device);
  for (let n = 0; n < 40; n++) {
    // oxlint-disable-next-line no-await-in-loop -- until it can be
    const refused = await saved(world, migration);
    if (!refused) return;
    // oxlint-disable-next-line no-await-in-loop -- until it can be
    await flow(world, 100);
  }
  throw new Error(`never saved: ${doorbells(world).why}`);
}

async function saved(world: World, migration: MigrationFacet): Promise<boolean> {
  try {
    await under(world, migration.setState("pre-copy"));
    await under(world, migration.setState("running"));
    return false;
  } catch (error) {
    expect(VfmigError.is(error) && error.code).toBe("ERR_VFMIG_VF_POSITION");
    expect(migration.state).toBe("running");
    return true;
  }
}
