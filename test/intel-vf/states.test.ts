import type { MigrationState } from "@vfmig/core";
import { buildPromiscuous, VIRTCHNL_OP } from "@vfmig/iavf";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FAMILIES } from "./rig/family.ts";
import { facets, move } from "./rig/move.ts";
import { udp, World, type WorldOptions } from "./rig/world.ts";

const STILL: ReadonlySet<MigrationState> = new Set([
  "running-p2p",
  "stop",
  "stop-copy",
  "pre-copy-p2p",
]);
const TARGETS = [
  "running",
  "running-p2p",
  "stop",
  "stop-copy",
  "pre-copy",
  "pre-copy-p2p",
] as const satisfies MigrationState[];

describe.each(FAMILIES)("$name", (family) => {
  const create = (options: WorldOptions = {}): Promise<World> =>
    World.create({ family, ...options });

  test("gives all that a target can judge before it stops", async () => {
    const world = await create();
    world.traffic(100);
    const { migration } = facets(world.host.device);
    await world.settle(migration.setState("pre-copy"));
    expect((await migration.precopyInfo()).initialBytes).toBeGreaterThan(0);
    const buffer = new Uint8Array(1 << 16);
    const length = await world.settle(migration.readData(buffer));
    expect(length).toBeGreaterThan(500);
    expect(await world.settle(migration.readData(buffer))).toBe(0);
    expect(await migration.precopyInfo()).toEqual({
      initialBytes: 0,
      dirtyBytes: 0,
      reinit: false,
    });
    // The guest goes on meanwhile.
    world.traffic(300);
    await world.settle(migration.setState("running"));
    world.quiesce();
    expect(world.wrongs()).toEqual([]);
    await world.close();
  });

  test("carries what the guest changed after the target had been told", async () => {
    const world = await create({ models: [{ trusted: true }, { trusted: true }] });
    world.traffic(100);
    await move(world, 1, {
      preCopy: true,
      onPrecopied: async () => {
        const asked = world.driver.request(VIRTCHNL_OP.CONFIG_PROMISCUOUS_MODE, (vsiId) =>
          buildPromiscuous({ vsiId, flags: 1 }),
        );
        await world.settle(asked);
        const { migration } = facets(world.host.device);
        expect((await migration.precopyInfo()).dirtyBytes).toBeGreaterThan(0);
      },
    });
    // A frame for somebody else.
    expect(world.host.port.deliver(udp(0x0b, 0x77, 1, 100))).toBe("accepted");
    world.traffic(300);
    world.quiesce();
    expect(world.wrongs()).toEqual([]);
    await world.close();
  });

  test("stands still where it must and runs where it may, on any walk through the states", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(...TARGETS), { minLength: 1, maxLength: 8 }),
        async (walk) => {
          const world = await create();
          const { migration } = facets(world.host.device);
          world.traffic(50);
          for (const target of [...walk, "running" as const]) {
            const stands = STILL.has(migration.state);
            if (!stands && STILL.has(target)) world.driver.pause();
            // From STOP_COPY no way leads back to PRE_COPY; the state stays then.
            await world.settle(migration.setState(target)).catch(() => undefined);
            if (STILL.has(migration.state)) {
              const snapshot = world.host.ram.slice();
              world.frame();
              world.clock.advance(3);
              expect(Buffer.compare(snapshot, world.host.ram)).toBe(0);
            } else {
              world.driver.resume();
              world.traffic(40);
            }
          }
          world.quiesce();
          expect({ walk, wrongs: world.wrongs() }).toEqual({ walk, wrongs: [] });
          await world.close();
        },
      ),
      { numRuns: 10 },
    );
  }, 60_000);
});
