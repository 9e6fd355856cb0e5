import { type MigrationState, VfmigError } from "@vfmig/core";
import { describe, expect, test } from "vitest";
import { FAMILIES } from "./rig/family.ts";
import { facets, move } from "./rig/move.ts";
import { World } from "./rig/world.ts";

const STATES = [
  "running-p2p",
  "stop",
  "stop-copy",
  "resuming",
  "pre-copy",
  "pre-copy-p2p",
] as const satisfies MigrationState[];

/** Settles with the code of the error, or `none`. */
async function codeOf(world: World, promise: Promise<unknown>): Promise<string> {
  const failure = await world.settle(
    promise.then(
      () => undefined,
      (error: unknown) => error,
    ),
  );
  if (failure === undefined) return "none";
  return VfmigError.is(failure) ? failure.code : "an error without code";
}

describe.each(FAMILIES)("$name", (family) => {
  describe("a PF that resets the VF", () => {
    test.each(
      STATES.map((state, n) => [state, (n % 2 === 0) === (family.name === "i40e")] as const),
    )(
      "in %s (announced: %s) hangs nothing: the state can be left, the guest comes up again, and its VF can be saved",
      async (state, told) => {
        const world = await World.create({ family, options: { pfTimeoutMs: 50, drainMs: 1 } });
        world.traffic(200);
        world.driver.pause();
        const { device, model } = world.host;
        const { migration } = facets(device);
        await world.settle(migration.setState(state));
        model.control.resetVf(told);
        world.clock.advance(200);
        expect(migration.state).toBe(state);
        if (state === "stop-copy") {
          const read = await codeOf(world, migration.readData(new Uint8Array(1 << 16)));
          expect(read).toMatch(/^(?:none|ERR_VFMIG_[A-Z_]+)$/u);
        }
        const left = await codeOf(world, migration.setState("running"));
        expect(left).toMatch(/^(?:none|ERR_VFMIG_[A-Z_]+)$/u);
        if (migration.state !== "running") await world.settle(device.reset());
        expect(migration.state).toBe("running");
        world.driver.resume();
        // The driver's own watchdog is what notices a reset that nobody announced.
        world.clock.advance(12_000);
        await world.settle(Promise.resolve());
        world.clock.advance(12_000);
        await world.settle(Promise.resolve());
        expect(world.driver).toMatchObject({ state: "running", linkUp: true });
        expect(world.driver.counters.resets).toBe(1);
        const { taken, given } = world;
        const before = [...taken, ...given].reduce((sum, count) => sum + count, 0);
        const delivered = (): number =>
          [world.inward, world.outward]
            .flatMap((ledger) => ledger.snapshot().flows)
            .reduce((sum, flow) => sum + flow.delivered, 0);
        world.quiesce();
        const had = delivered();
        world.traffic(100);
        world.quiesce();
        const sent = [...taken, ...given].reduce((sum, count) => sum + count, 0) - before;
        expect(sent).toBe(200);
        expect(delivered() - had).toBe(sent);
        await world.settle(migration.setState("stop-copy"));
        const saved = new Uint8Array(1 << 16);
        expect(await world.settle(migration.readData(saved))).toBeGreaterThan(1000);
        await world.close();
      },
    );
  });

  test("a guest whose driver came up by itself after a reset of its device moves as any other", async () => {
    const world = await World.create({ family });
    world.traffic(100);
    world.quiesce();
    world.driver.pause();
    await world.settle(world.host.device.reset());
    world.driver.resume();
    for (let n = 0; n < 3; n++) {
      world.clock.advance(8000);
      // oxlint-disable-next-line no-await-in-loop -- the driver's watchdog, and what follows it
      await world.settle(Promise.resolve());
    }
    expect(world.driver).toMatchObject({ state: "running", linkUp: true });
    world.traffic(100);
    await move(world, 1);
    world.traffic(100);
    world.quiesce();
    expect(world.wrongs()).toEqual([]);
    await world.close();
  });
});
