import { describe, expect, test } from "vitest";
import { FAMILIES } from "./rig/family.ts";
import { flaws, move, NO_FLAWS } from "./rig/move.ts";
import {
  flow,
  Losses,
  modes,
  pass,
  random,
  startLog,
  status,
  stopLog,
  untilDirect,
  whileSaving,
} from "./rig/shadow.ts";
import { World, type WorldOptions } from "./rig/world.ts";

describe.each(FAMILIES)("$name", (family) => {
  const create = (options: WorldOptions = {}): Promise<World> =>
    World.create(
      whileSaving({
        family,
        models: [{ pfReplyDelayMs: 0.6 }, { pfReplyDelayMs: 0.6 }],
        driver: { ringSize: 64 },
        ...options,
      }),
    );

  test("a log that opens again while pairs go back finds all of them, at any point", async () => {
    const seed = 11;
    const below = random(seed);
    const world = await create();
    const lost = new Losses();
    const seen = new Set<string>();
    await flow(world, 200, undefined, lost);
    for (let n = 0; n < 16; n++) {
      // oxlint-disable-next-line no-await-in-loop -- one log after the other
      await startLog(world, lost);
      expect(modes(world)).toEqual(new Set(["relay"]));
      // oxlint-disable-next-line no-await-in-loop -- one log after the other
      await flow(world, 8 * below(12), undefined, lost);
      // oxlint-disable-next-line no-await-in-loop -- one log after the other
      await stopLog(world);
      // oxlint-disable-next-line no-await-in-loop -- one log after the other
      await (n % 2 === 0 ? untilHeld(world, lost) : flow(world, 8 * below(300), undefined, lost));
      seen.add([...modes(world)].toSorted().join());
      if (n % 2 === 0) {
        continue;
      }
      // A switch that has begun comes to its end, and its window is known.
      // oxlint-disable-next-line no-await-in-loop -- one log after the other
      await pass(world, 60);
      world.quiesce();
      const wrong = { outside: lost.outside(world), wrongs: world.wrongs() };
      expect({ seed, n, ...wrong }).toEqual({ seed, n, outside: [], wrongs: [] });
    }
    await pass(world, 60);
    world.quiesce();
    expect({ outside: lost.outside(world), wrongs: world.wrongs() }).toEqual({
      outside: [],
      wrongs: [],
    });
    expect([...seen].some((found) => found.includes("held"))).toBe(true);
    expect(seen).toContain("direct,relay");
    await untilDirect(world);
    await world.close();
  }, 30_000);

  test("a move that begins while pairs go back is as any other", async () => {
    const seed = 5;
    const below = random(seed);
    const world = await create();
    await flow(world, 200);
    await move(world, 1);
    for (let n = 0; n < 6; n++) {
      // oxlint-disable-next-line no-await-in-loop -- one move after the other
      await flow(world, 8 * below(150));
      // oxlint-disable-next-line no-await-in-loop -- one move after the other
      const result = await move(world, 1 - world.at, { blackout: below(4) });
      world.quiesce();
      expect({ seed, n, ...flaws(world, result) }).toEqual({ seed, n, ...NO_FLAWS });
    }
    expect(status(world).switches.some(({ kind }) => kind === "leave")).toBe(true);
    await world.close();
  }, 30_000);
});

/** Frames until a pair stands still on its way back. */
async function untilHeld(world: World, lost: Losses): Promise<void> {
  for (let n = 0; n < 2000 && !modes(world).has("held"); n++) {
    // oxlint-disable-next-line no-await-in-loop -- traffic
    await flow(world, 8, undefined, lost);
  }
}
