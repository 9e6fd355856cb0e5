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
import { flaws, move, NO_FLAWS } from "./rig/move.ts";
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
      expect(bar0Trapped(world)).toEqual([
        { region: 0, offset: 0, size: 0x1000 },
        { region: 0, offset: 0x2000, size: 0x2000 },
        { region: 0, offset: 0x4000, size: 0x5000 },
      ]);
      await untilMapped(world);
      expect(mappedPages(world)).toEqual(QUEUE_PAGES);
      // Messages of a user that maps nothing would still be noted.
      expect(bar0Trapped(world)).toEqual([
        { region: 0, offset: 0, size: 64 },
        { region: 0, offset: 0x2000, size: 64 },
        { region: 0, offset: 0x4000, size: 0x5000 },
      ]);
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

    test("are trapped while its device is logged, and the guest's own again after the hand-back", async () => {
      const world = await create();
      const lost = new Losses();
      for (let n = 0; n < 3; n++) {
        // oxlint-disable-next-line no-await-in-loop -- one log after the other
        await logged(world, lost);
      }
      world.quiesce();
      expect(lost.outside(world)).toEqual([]);
      expect(world.wrongs()).toEqual([]);
      await world.close();
    });

    test.each([
      [1, 8],
      [4, 4],
      [16, 2],
    ])(
      "let %i pairs move from wherever their guest is, which only the device knows",
      async (pairs, moves) => {
        const seed = 20_261_123 + pairs;
        const below = random(seed);
        const model = { queuePairs: pairs, vectors: Math.min(pairs, 4) + 1 };
        const world = await create({
          models: [model, model],
          driver: { queuePairs: pairs, ringSize: [64, 96, 128][below(3)] ?? 64 },
        });
        for (let n = 0; n < moves; n++) {
          // oxlint-disable-next-line no-await-in-loop -- one move after the other
          await untilMapped(world);
          // oxlint-disable-next-line no-await-in-loop -- one move after the other
          await flow(world, below(600));
          world.frame();
          world.clock.runSoon(below(6));
          const from = userOf(world);
          from.clearCounts();
          const preCopy = below(2) === 0;
          // oxlint-disable-next-line no-await-in-loop -- one move after the other
          const result = await move(world, 1 - world.at, { blackout: below(4), preCopy });
          expect(from.mapped(PCI_REGION.BAR0)).toEqual([]);
          world.quiesce();
          expect({ seed, n, ...flaws(world, result) }).toEqual({ seed, n, ...NO_FLAWS });
        }
        await world.close();
      },
      60_000,
    );
  });
});

function bar0Trapped(world: World): unknown {
  return status(world).trapped.filter(({ region }) => region === PCI_REGION.BAR0);
}

/** A log of a guest that has its queues' registers mapped, and hand-back until it has them again. */
async function logged(world: World, lost: Losses): Promise<void> {
  await untilMapped(world, undefined, lost);
  await flow(world, 700, undefined, lost);
  await startLog(world, lost);
  expect(mappedPages(world)).toEqual([]);
  expect(modes(world)).toEqual(new Set(["relay"]));
  expect(doorbells(world).why).toContain("logged");
  await flow(world, 500, undefined, lost);
  await stopLog(world);
  await untilDirect(world, undefined, lost);
  await untilMapped(world, undefined, lost);
  const before = status(world).relayed;
  userOf(world).clearCounts();
  await flow(world, 500, undefined, lost);
  expect([queueMessages(world), status(world).relayed]).toEqual([0, before]);
}
