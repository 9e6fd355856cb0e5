import { PCI_REGION } from "@vfmig/core";

import { describe, expect, test } from "vitest";
import {
  directDoorbells,
  doorbells,
  mappedPages,
  QUEUE_PAGES,
  queueMessages,
  untilMapped,
  userOf,
} from "./rig/doorbells.ts";
import { FAMILIES } from "./rig/family.ts";
import { move } from "./rig/move.ts";
import {
  flow,
  Losses,
  modes,
  random,
  startLog,
  status,
  stopLog,
  untilDirect,
} from "./rig/shadow.ts";
import { World, type WorldOptions } from "./rig/world.ts";

describe.each(FAMILIES)("$name", (family) => {
  const create = (options: WorldOptions = {}): Promise<World> =>
    World.create(directDoorbells({ family, ...options }));

  describe("doorbells that a guest rings by itself", () => {
    test("are trapped until the device has shown its tails, and then nothing of ours sees them", async () => {
      const world = await create();
      expect(mappedPages(world)).toEqual([]);
      expect(doorbells(world)).toMatchObject({ wanted: "direct", now: "trapped" });
      await untilMapped(world);
      expect(mappedPages(world)).toEqual(QUEUE_PAGES);
      expect(doorbells(world)).toMatchObject({ wanted: "direct", now: "direct" });
      userOf(world).clearCounts();
      await flow(world, 3000);
      expect(queueMessages(world)).toBe(0);
      expect(userOf(world).direct).toBeGreaterThan(3000);
      world.quiesce();
      expect(world.wrongs()).toEqual([]);
      expect(world.missed).toBe(0);
      await world.close();
    });
  });
});
