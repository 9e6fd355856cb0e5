import { describe, expect, test } from "vitest";
import { FAMILIES } from "./rig/family.ts";
import { move } from "./rig/move.ts";
import { flow, modes, startLog, status, stopLog, untilDirect, whileSaving } from "./rig/shadow.ts";
import { World, type WorldOptions } from "./rig/world.ts";

describe.each(FAMILIES)("$name", (family) => {
  const create = (options: WorldOptions = {}): Promise<World> =>
    World.create(whileSaving({ family, ...options }));

  describe("a guest whose queues are relayed only while that is needed", () => {
    test("comes up on its own rings, and no relay moves anything", async () => {
      const world = await create();
      await flow(world, 2000);
      world.quiesce();
      expect(modes(world)).toEqual(new Set(["direct"]));
      for (const { tx, rx } of status(world).relayed) {
        expect([tx.forwarded, rx.forwarded]).toEqual([0, 0]);
      }
      const { indices } = world.driver;
      expect(indices.length).toBeGreaterThan(1);
      expect(world.wrongs()).toEqual([]);
      expect(world.missed).toBe(0);
      await world.close();
    });

    test("is relayed while its device's writes are logged, and gets its rings back", async () => {
      const world = await create();
      await flow(world, 700);
      await startLog(world);
      expect(modes(world)).toEqual(new Set(["relay"]));
      await flow(world, 2000);
      world.quiesce();
      expect(world.wrongs()).toEqual([]);
      await stopLog(world);
      await untilDirect(world);
      world.quiesce();
      expect(world.wrongs()).toEqual([]);
      const before = status(world).relayed;
      await flow(world, 3000);
      world.quiesce();
      expect(status(world).relayed).toEqual(before);
      expect(world.wrongs()).toEqual([]);
      await world.close();
    });

    test("moves, and goes on", async () => {
      const world = await create();
      await flow(world, 700);
      await move(world, 1);
      world.traffic(2000);
      world.quiesce();
      expect(world.wrongs()).toEqual([]);
      await untilDirect(world);
      await move(world, 0);
      world.traffic(500);
      world.quiesce();
      expect(world.wrongs()).toEqual([]);
      await world.close();
    });
  });
});
