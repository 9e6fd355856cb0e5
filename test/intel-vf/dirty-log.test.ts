import { describe, expect, test } from "vitest";
import { FAMILIES } from "./rig/family.ts";
import { facets } from "./rig/move.ts";
import { mapRam, PAGE, RAM_IOVA, World } from "./rig/world.ts";

/** Pages of guest memory that the model itself has written since its account was cleared. */
function written(world: World): number[] {
  const { model, ram } = world.host;
  const first = Number(RAM_IOVA) / PAGE;
  return model.truth
    .writtenPages()
    .map((page) => page - first)
    .filter((page) => page >= 0 && page < ram.length / PAGE);
}

/** A report of all guest memory, while `meanwhile` happens; the pages go to `seen`. */
async function report(world: World, seen: Set<number>, meanwhile = () => {}): Promise<number> {
  const { ram, device } = world.host;
  const bitmap = new Uint8Array(ram.length / PAGE / 8);
  const range = { iova: RAM_IOVA, size: BigInt(ram.length) };
  const reported = facets(device).logging.report(range, PAGE, bitmap);
  meanwhile();
  await world.settle(reported, meanwhile);
  let pages = 0;
  for (let page = 0; page < bitmap.length * 8; page++) {
    if (((bitmap[page >> 3] ?? 0) & (1 << (page & 7))) === 0) continue;
    seen.add(page);
    pages += 1;
  }
  return pages;
}

describe.each(FAMILIES)("$name", (family) => {
  describe("the log of a VF's writes", () => {
    test("loses none that happens while it is read, and has nothing twice", async () => {
      const world = await World.create({ family });
      const { logging } = facets(world.host.device);
      world.traffic(100);
      await world.settle(logging.start({ pageSize: PAGE, ranges: [] }));
      world.host.model.truth.clearWrittenPages();
      const seen = new Set<number>();
      for (let n = 0; n < 60; n++) {
        world.traffic(n % 7);
        // oxlint-disable-next-line no-await-in-loop -- one report after the other
        await report(world, seen, () => {
          world.frame();
          world.clock.runSoon(n % 5);
        });
      }
      world.quiesce();
      await report(world, seen);
      expect(written(world).length).toBeGreaterThan(50);
      expect(written(world).filter((page) => !seen.has(page))).toEqual([]);
      expect(await report(world, new Set())).toBe(0);
      expect(world.wrongs()).toEqual([]);
      await world.close();
    });

    test("knows memory that the guest gets while it runs", async () => {
      const world = await World.create({ family });
      const { device, ram, model } = world.host;
      const { logging } = facets(device);
      world.traffic(100);
      world.quiesce();
      await world.settle(
        Promise.resolve(device.unmapDma({ iova: RAM_IOVA, size: BigInt(ram.length) })),
      );
      await world.settle(logging.start({ pageSize: PAGE, ranges: [] }));
      mapRam(device, ram);
      model.truth.clearWrittenPages();
      world.traffic(300);
      world.quiesce();
      const seen = new Set<number>();
      await report(world, seen);
      expect(written(world).length).toBeGreaterThan(50);
      expect(written(world).filter((page) => !seen.has(page))).toEqual([]);
      expect(world.wrongs()).toEqual([]);
      await world.close();
    });
  });
});
