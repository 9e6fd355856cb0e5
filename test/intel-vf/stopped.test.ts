import { type MigrationState, PCI_REGION } from "@vfmig/core";
import { describe, expect, test } from "vitest";
import { FAMILIES } from "./rig/family.ts";
import { facets } from "./rig/move.ts";
import { World, type WorldOptions } from "./rig/world.ts";

/** Every byte that is read in one session until nothing is there. */
async function readAll(world: World): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for (;;) {
    const into = new Uint8Array(4096);
    // oxlint-disable-next-line no-await-in-loop -- a stream
    const length = await world.settle(facets(world.host.device).migration.readData(into));
    if (length === 0) return Buffer.concat(parts);
    parts.push(into.subarray(0, length));
  }
}

/** Reads all registers and all of config space, as a guest that is curious may. */
function readEverything(world: World, bar0Size: number): Buffer {
  const { device } = world.host;
  const found = Buffer.alloc(bar0Size + 256);
  for (let at = 0; at < bar0Size; at += 4) {
    device.readRegion(PCI_REGION.BAR0, at, found.subarray(at, at + 4));
  }
  device.readRegion(PCI_REGION.CONFIG, 0, found.subarray(bar0Size));
  return found;
}

describe.each(FAMILIES)("$name", (family) => {
  const busy = async (options: WorldOptions = {}): Promise<World> => {
    const world = await World.create({ family, ...options });
    world.traffic(333);
    world.quiesce();
    world.driver.pause();
    return world;
  };

  describe("a device that was stopped", () => {
    test("is saved as the same bytes each time", async () => {
      const world = await busy();
      const { migration } = facets(world.host.device);
      await world.settle(migration.setState("stop-copy"));
      const first = await readAll(world);
      await world.settle(migration.setState("stop"));
      world.clock.advance(500);
      await world.settle(migration.setState("stop-copy"));
      const second = await readAll(world);
      expect(first.length).toBeGreaterThan(1000);
      expect(Buffer.compare(first, second)).toBe(0);
      await world.close();
    });

    test("answers reads of all its registers and of config space, and its state is the same after it", async () => {
      const world = await busy();
      const { migration } = facets(world.host.device);
      await world.settle(migration.setState("stop-copy"));
      const before = await readAll(world);
      await world.settle(migration.setState("stop"));
      const seen = readEverything(world, family.bar0Size);
      expect(seen.readUInt16LE(family.bar0Size)).toBe(0x8086);
      world.clock.advance(100);
      // No register changes by itself while it stands.
      expect(Buffer.compare(readEverything(world, family.bar0Size), seen)).toBe(0);
      await world.settle(migration.setState("stop-copy"));
      expect(Buffer.compare(await readAll(world), before)).toBe(0);
      await world.settle(migration.setState("running"));
      world.driver.resume();
      world.traffic(300);
      world.quiesce();
      expect(world.wrongs()).toEqual([]);
      await world.close();
    });
  });

  describe("the figures of a move", () => {
    test("tell in every state how many bytes are to come, and not far from the truth", async () => {
      const world = await busy();
      const { migration } = facets(world.host.device);
      const sizes: number[] = [];
      for (const state of [
        "running",
        "running-p2p",
        "stop",
        "resuming",
        "running",
        "pre-copy",
        "pre-copy-p2p",
        "stop-copy",
      ] satisfies MigrationState[]) {
        if (state === "running" && migration.state === "resuming") {
          // oxlint-disable-next-line no-await-in-loop -- half a state is no state
          await world.settle(world.host.device.reset());
        }
        // oxlint-disable-next-line no-await-in-loop -- one state after the other
        await world.settle(migration.setState(state));
        // oxlint-disable-next-line no-await-in-loop -- one state after the other
        sizes.push(await migration.dataSize());
      }
      expect(sizes.every((size) => size > 0)).toBe(true);
      await world.close();
      const again = await busy();
      const { migration: saved } = facets(again.host.device);
      const told = await saved.dataSize();
      await again.settle(saved.setState("stop-copy"));
      const bytes = (await readAll(again)).length;
      expect(told).toBeGreaterThan(bytes / 3);
      expect(told).toBeLessThan(bytes * 3);
      await again.close();
    });

    test("begin with data to send and nothing dirty, and begin anew after a cancel", async () => {
      const world = await World.create({ family });
      world.traffic(100);
      const { migration } = facets(world.host.device);
      for (let n = 0; n < 2; n++) {
        // oxlint-disable-next-line no-await-in-loop -- one session after the other
        await world.settle(migration.setState("pre-copy"));
        // oxlint-disable-next-line no-await-in-loop -- one session after the other
        const { initialBytes, dirtyBytes, reinit } = await migration.precopyInfo();
        expect(initialBytes).toBeGreaterThan(0);
        expect({ dirtyBytes, reinit }).toEqual({ dirtyBytes: 0, reinit: false });
        // oxlint-disable-next-line no-await-in-loop -- one session after the other
        await readAll(world);
        // oxlint-disable-next-line no-await-in-loop -- one session after the other
        expect((await migration.precopyInfo()).initialBytes).toBe(0);
        // oxlint-disable-next-line no-await-in-loop -- one session after the other
        await world.settle(migration.setState("running"));
      }
      await world.close();
    });
  });
});
