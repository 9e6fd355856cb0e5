import { describe, expect, test } from "vitest";
import { FAMILIES } from "./rig/family.ts";
import { facets } from "./rig/move.ts";
import { flow, pass, random, startLog, whileSaving } from "./rig/shadow.ts";
import { SlotWorld } from "./rig/slot.ts";
import type { WorldOptions } from "./rig/world.ts";

describe.each(FAMILIES)(
  "$name: a guest whose device is replaced by one of another PF",
  (family) => {
    const create = (options: WorldOptions = {}): Promise<SlotWorld> =>
      SlotWorld.create({ family, ...options });

    test.each([
      ["always", {}],
      ["while-saving", whileSaving()],
    ] as const)(
      "loses frames in the windows only, twelve times at any ring index, relayed %s",
      async (_mode, options) => {
        const below = random(20_261_122);
        const it = await create(options);
        const { world } = it;
        for (let n = 0; n < 12; n++) {
          // oxlint-disable-next-line no-await-in-loop -- one after the other
          await flow(world, below(300), undefined, it.lost);
          const before = world.host.model;
          // oxlint-disable-next-line no-await-in-loop -- one after the other
          const { windowMs, stateBytes } = await it.replace({ pfReplyDelayMs: below(2) });
          expect(world.host.model).not.toBe(before);
          expect(windowMs).toBeGreaterThan(0);
          expect(stateBytes).toBeGreaterThan(0);
        }
        // oxlint-disable-next-line no-await-in-loop -- the rest
        await flow(world, 400, undefined, it.lost);
        world.quiesce();
        expect(world.wrongs()).toEqual([]);
        expect(it.lostOutside()).toEqual([]);
        expect(world.missed).toBeGreaterThan(0);
        expect(world.host.model.truth).toMatchObject({ dmaFaults: 0, maliciousEvents: 0 });
        await it.close();
      },
      60_000,
    );

    test("keeps its device where the new PF grants less, and again where it refuses the queues", async () => {
      const it = await create();
      const { world } = it;
      await flow(world, 100, undefined, it.lost);
      const { model } = world.host;
      await expect(it.replace({ queuePairs: 1, vectors: 2 })).rejects.toMatchObject({
        code: expect.stringMatching(/ERR_VFMIG_REPLACE_/) as string,
      });
      expect(world.host.model).toBe(model);
      await flow(world, 400, undefined, it.lost);
      world.quiesce();
      expect(world.wrongs()).toEqual([]);
      expect(it.lostOutside()).toEqual([]);
      // What failed leaves nothing behind that the next one could stumble over.
      await it.replace();
      await flow(world, 200, undefined, it.lost);
      world.quiesce();
      expect(world.wrongs()).toEqual([]);
      await it.close();
    });

    test("is refused while the guest's memory is being logged, and not once that has ended", async () => {
      const it = await create();
      const { world } = it;
      const { logging } = facets(it.device);
      const size = BigInt(world.host.ram.length);
      const ranges = [{ iova: 0x1_0000_0000n, size }];
      await world.settle(logging.start({ pageSize: 4096, ranges }));
      await expect(it.replace()).rejects.toMatchObject({ code: "ERR_VFMIG_REPLACE_BUSY" });
      await world.settle(logging.stop());
      await it.replace();
      await pass(world, 10);
      await startLog(world);
      world.quiesce();
      expect(world.wrongs()).toEqual([]);
      await it.close();
    });

    test("finds the device usable after its own reset of the new one", async () => {
      const it = await create();
      const { world } = it;
      await it.replace();
      await flow(world, 100, undefined, it.lost);
      expect(it.device.migration?.state).toBe("running");
      await world.settle(it.device.reset());
      expect(it.device.migration?.state).toBe("running");
      await it.close();
    });
  },
);
