import { PCI_REGION } from "@vfmig/core";
import { txTail, VIRTCHNL_OP } from "@vfmig/iavf";
import { describe, expect, test } from "vitest";
import {
  directDoorbells,
  doorbells,
  mappedPages,
  queueMessages,
  untilMapped,
  userOf,
} from "./rig/doorbells.ts";
import { endWell } from "./rig/end.ts";
import { FAMILIES } from "./rig/family.ts";
import { facets, move } from "./rig/move.ts";
import { flow, modes, startLog, stopLog, under, untilDirect } from "./rig/shadow.ts";
import { PAGE, RAM_IOVA, World, type WorldOptions } from "./rig/world.ts";

describe.each(FAMILIES)("$name", (family) => {
  /** Users have 30 ms to let go. */
  const create = (options: WorldOptions = {}): Promise<World> =>
    World.create(directDoorbells({ family, limits: { unmapMs: 30 }, ...options }));

  describe("a user that has the queues' registers mapped", () => {
    test("and does not let go keeps the device where it is, by name, and goes on", async () => {
      const world = await create();
      await untilMapped(world);
      userOf(world).manners = "never";
      const { migration } = facets(world.host.device);
      await expect(under(world, migration.setState("stop"))).rejects.toMatchObject({
        code: "ERR_VFMIG_TRAP_TIMEOUT",
        message: expect.stringContaining("a mapping user"),
      });
      expect([migration.state, doorbells(world).now]).toEqual(["running", "direct"]);
      expect(doorbells(world).why).toContain("did not let go");
      userOf(world).clearCounts();
      await flow(world, 1000);
      expect([queueMessages(world), modes(world)]).toEqual([0, new Set(["direct"])]);
      // It thinks better of it.
      userOf(world).manners = "prompt";
      await move(world, 1);
      await untilMapped(world);
      await endWell(world);
    });

    test("and does not let go has all of its memory count as written", async () => {
      const world = await create();
      await untilMapped(world);
      userOf(world).manners = "never";
      await startLog(world);
      expect(modes(world)).toEqual(new Set(["direct"]));
      const { logging } = facets(world.host.device);
      const bitmap = new Uint8Array(4);
      await world.settle(logging.report({ iova: RAM_IOVA, size: BigInt(32 * PAGE) }, PAGE, bitmap));
      expect([...bitmap]).toEqual([255, 255, 255, 255]);
      await stopLog(world);
      await flow(world, 500);
      await endWell(world);
    });

    test("and cannot be asked is named at once; one that has nothing mapped is in nobody's way", async () => {
      const world = await create({ mapping: "deaf" });
      await flow(world, 1000);
      expect([doorbells(world).now, mappedPages(world)]).toEqual(["direct", []]);
      await move(world, 1);
      await untilDirect(world);
      await flow(world, 1000);
      // As a client that connects now.
      userOf(world).fetch();
      expect(mappedPages(world).length).toBe(3);
      const { migration } = facets(world.host.device);
      const asked = world.clock.now();
      await expect(world.settle(migration.setState("pre-copy"))).rejects.toMatchObject({
        code: "ERR_VFMIG_MAPPING_CONFLICT",
        message: expect.stringContaining("no user listens for new layouts"),
      });
      expect(world.clock.now() - asked).toBeLessThan(5);
      await flow(world, 500);
      await endWell(world);
    });

    test("and takes its time rings its queues until then, and nothing of it is lost", async () => {
      const world = await create({ mapping: "late" });
      for (let n = 0; n < 4; n++) {
        // oxlint-disable-next-line no-await-in-loop -- one move after the other
        await untilMapped(world);
        // oxlint-disable-next-line no-await-in-loop -- one log after the other
        await lateLog(world);
        // oxlint-disable-next-line no-await-in-loop -- one move after the other
        await untilMapped(world);
        // oxlint-disable-next-line no-await-in-loop -- one move after the other
        const { forgotten } = await move(world, 1 - world.at);
        world.quiesce();
        expect([forgotten, world.wrongs()]).toEqual([[], []]);
      }
      await world.close();
    });

    test("keeps its guest from nothing while it is asked", async () => {
      const world = await create({ limits: { unmapMs: 200 } });
      await untilMapped(world);
      userOf(world).manners = "never";
      const { logging } = facets(world.host.device);
      const done: string[] = [];
      const started = logging.start({ pageSize: PAGE, ranges: [] });
      void started.then(() => done.push("started"));
      const asked = world.driver.ask(VIRTCHNL_OP.GET_RSS_HENA_CAPS, () => new Uint8Array(0));
      void asked.then(() => done.push("answered"));
      await flow(world, 2000);
      expect(done).toEqual(["answered"]);
      await under(world, started);
      expect([done, modes(world)]).toEqual([["answered", "started"], new Set(["direct"])]);
      await stopLog(world);
      await endWell(world);
    });

    test("may send messages too while it is asked, and both count", async () => {
      const world = await create({ mapping: "late", driver: { queuePairs: 1 } });
      await untilMapped(world);
      world.quiesce();
      const { device } = world.host;
      const { logging } = facets(device);
      const started = logging.start({ pageSize: PAGE, ranges: [] });
      for (let n = 0; n < 40; n++) {
        world.frame();
        // Another way to say what was said by the mapping just now.
        const tail = new Uint8Array(4);
        device.readRegion(PCI_REGION.BAR0, txTail(0), tail);
        device.writeRegion(PCI_REGION.BAR0, txTail(0), tail);
        world.clock.advance(0.25);
      }
      expect(mappedPages(world).length).toBe(3);
      await under(world, started);
      expect(mappedPages(world)).toEqual([]);
      await flow(world, 500);
      await endWell(world);
    });

    test("is asked no more when the device is closed", async () => {
      const world = await create();
      await untilMapped(world);
      userOf(world).manners = "never";
      const { migration } = facets(world.host.device);
      const asked = migration.setState("pre-copy").catch((error: unknown) => error);
      await world.close();
      await expect(world.settle(asked)).resolves.toMatchObject({
        code: "ERR_VFMIG_MIGRATION_CANCELLED",
      });
    });
  });
});

/** A log that begins while the user still has its mappings. */
async function lateLog(world: World): Promise<void> {
  const { logging } = facets(world.host.device);
  const size = BigInt(world.host.ram.length);
  const started = logging.start({ pageSize: PAGE, ranges: [{ iova: RAM_IOVA, size }] });
  userOf(world).clearCounts();
  await flow(world, 64);
  expect([mappedPages(world).length, queueMessages(world)]).toEqual([3, 0]);
  await under(world, started);
  expect(modes(world)).toEqual(new Set(["relay"]));
  await flow(world, 300);
  await stopLog(world);
}
