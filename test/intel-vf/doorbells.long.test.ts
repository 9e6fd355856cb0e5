import type { MappingManners } from "@vfmig/testkit";
import { describe, expect, test } from "vitest";
import { directDoorbells, mappedPages, userOf } from "./rig/doorbells.ts";
import { type Family, FAMILIES } from "./rig/family.ts";
import { facets, move } from "./rig/move.ts";
import { flow, pass, random, startLog, stopLog, under } from "./rig/shadow.ts";
import { World } from "./rig/world.ts";

/** Worlds of each family, each with a seed of its own; `VFMIG_DOORBELL_SEEDS=first-last` for others. */
const [FIRST = 1, LAST = 12] = (process.env["VFMIG_DOORBELL_SEEDS"] ?? "1-6")
  .split("-")
  .map(Number);
const SEEDS = Array.from({ length: LAST - FIRST + 1 }, (_, n) => FIRST + n);

/** What happened to a world, so that a seed that does nothing shows. */
interface Tally {
  mapped: number;
  logs: number;
  moves: number;
  resets: number;
}

describe.each(FAMILIES)("$name", (family) => {
  test(
    "A guest with mapped doorbells is logged, moved and reset at any moment, and each frame that was taken arrives once",
    async () => {
      const tally: Tally = { mapped: 0, logs: 0, moves: 0, resets: 0 };
      for (const seed of SEEDS) {
        // oxlint-disable-next-line no-await-in-loop -- one world after the other
        await live(family, seed, tally);
      }
      for (const count of [tally.mapped, tally.logs, tally.moves, tally.resets]) {
        expect(count).toBeGreaterThan(SEEDS.length / 4);
      }
    },
    20_000 * SEEDS.length,
  );
});

/** Some of a guest's life on two hosts. */
async function live(family: Family, seed: number, tally: Tally): Promise<void> {
  const below = random(seed * 7919);
  const pairs = [1, 2, 4][below(3)] ?? 1;
  const model = { queuePairs: pairs, vectors: pairs + 1, pfReplyDelayMs: [0, 0.6][below(2)] ?? 0 };
  const manners = (): MappingManners => (below(3) === 0 ? "late" : "prompt");
  const world = await World.create(
    directDoorbells({
      family,
      models: [model, model],
      mapping: manners(),
      driver: { queuePairs: pairs, ringSize: [64, 96, 256][below(3)] ?? 64 },
    }),
  );
  const where = (step: number, what: string): object => ({ family: family.name, seed, step, what });
  for (let step = 0; step < 14; step++) {
    userOf(world).manners = manners();
    // oxlint-disable-next-line no-await-in-loop -- one step after the other
    await flow(world, [8, 200, 1500][below(3)] ?? 8);
    tally.mapped += mappedPages(world).length > 0 ? 1 : 0;
    for (let n = below(6); n > 0; n--) world.frame();
    world.clock.runSoon(below(6));
    const what = ["log", "log", "move", "pre-copy", "reset"][below(5)] ?? "log";
    // oxlint-disable-next-line no-await-in-loop -- one step after the other
    await doStep(world, what, below, tally);
    world.quiesce();
    expect({ ...where(step, what), wrongs: world.wrongs() }).toEqual({
      ...where(step, what),
      wrongs: [],
    });
  }
  await world.close();
}

async function doStep(
  world: World,
  what: string,
  below: (n: number) => number,
  tally: Tally,
): Promise<void> {
  switch (what) {
    case "log":
      tally.logs++;
      await startLog(world);
      await flow(world, 8 * below(60));
      await stopLog(world);
      break;
    case "pre-copy": {
      const { migration } = facets(world.host.device);
      await under(world, migration.setState("pre-copy"));
      await flow(world, 8 * below(30));
      await under(world, migration.setState("running"));
      break;
    }
    case "reset":
      tally.resets++;
      // A switch that has begun comes to its end.
      await pass(world, 60);
      world.quiesce();
      await world.settle(world.driver.resetFunction());
      break;
    default: {
      tally.moves++;
      const { forgotten, truth, dirty } = await move(world, 1 - world.at, { blackout: below(4) });
      expect([forgotten, [...truth.difference(dirty)]]).toEqual([[], []]);
    }
  }
}
