import { beforeEach, describe, expect, test, vi } from "vitest";
import type * as Infer from "../../packages/iavf/src/vf/shadow/infer.ts";
import { FAMILIES } from "./rig/family.ts";
import { flow, Losses, pass, startLog, stopLog, untilDirect, whileSaving } from "./rig/shadow.ts";
import { World, type WorldOptions } from "./rig/world.ts";

/*
 * A plugin that errs by one slot where it infers the guest's place. It must break the guest where
 * everyone can see it, or the tests that pass would prove nothing.
 */
const wrong = vi.hoisted(() => ({ tx: 0, rx: 0, halves: true }));

vi.mock("../../packages/iavf/src/vf/shadow/infer.ts", async (original) => {
  const real = await original<typeof Infer>();
  return {
    ...real,
    inferTx(...[memory, ring, facts]: Parameters<typeof real.inferTx>) {
      const place = real.inferTx(memory, ring, facts);
      return { ...place, slot: (place.slot + wrong.tx + ring.length) % ring.length };
    },
    inferRx(...[memory, ring, facts]: Parameters<typeof real.inferRx>) {
      const place = real.inferRx(memory, ring, facts);
      const slot = (place.slot + wrong.rx + ring.length) % ring.length;
      return { ...place, slot, half: place.half && wrong.halves };
    },
  };
});

describe.each(FAMILIES)("$name", (family) => {
  const create = (options: WorldOptions = {}): Promise<World> =>
    World.create(whileSaving({ family, driver: { ringSize: 64, queuePairs: 1 }, ...options }));

  beforeEach(() => {
    Object.assign(wrong, { tx: 0, rx: 0, halves: true });
  });

  async function wrongs(): Promise<readonly string[]> {
    const world = await create();
    const lost = new Losses();
    await flow(world, 700);
    for (let n = 0; n < 4; n++) {
      world.frame();
    }
    await startLog(world, lost);
    await flow(world, 500, undefined, lost);
    // Long enough for a driver to notice that something stands still.
    await pass(world, 12_000);
    world.quiesce();
    const unmet = lost.outside(world).length;
    const found = [...world.wrongs(), ...(unmet > 0 ? [`no device took ${unmet} frames`] : [])];
    await stopLog(world);
    if (found.length === 0) {
      await untilDirect(world);
    }
    await world.close();
    return found;
  }

  test("an honest place is not what breaks the guest", async () => {
    expect(await wrongs()).toEqual([]);
  });

  test.each([
    ["Tx", { tx: 1 }],
    ["Tx", { tx: -1 }],
    ["Rx", { rx: 1 }],
    ["Rx", { rx: -1 }],
  ])("a place in the %s ring that is wrong by one breaks it: %o", async (_, change) => {
    Object.assign(wrong, change);
    expect(await wrongs()).not.toEqual([]);
  });
});
