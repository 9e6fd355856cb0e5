import { inspectState } from "@vfmig/core";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import igbVf from "./index.ts";
import { facets } from "./testing/move.ts";
import { MAPPED, modeOf, startLog } from "./testing/own-rings.ts";
import { soundAfter, toAndFro } from "./testing/sound.ts";
import { PAGE, RAM_IOVA, World, type WorldOptions } from "./testing/world.ts";

/** The ways in which a guest has its device to itself. */
const WAYS: readonly [string, WorldOptions][] = [
  ["trapped", { options: { shadow: "while-saving", handBack: true } }],
  ["direct", MAPPED],
];

interface Status {
  readonly modes: readonly { readonly tx: string; readonly rx: string }[];
  readonly switchTotals: Readonly<Record<"enter" | "leave", { readonly count: number }>>;
  readonly trapped: readonly { readonly region: number; readonly size: number }[];
}

function statusOf(world: World): Status {
  return world.device.driverStatus() as unknown as Status;
}

async function stopLog(world: World): Promise<void> {
  await world.settle(facets(world.device).logging.stop());
  for (let n = 0; n < 10; n++) {
    world.frame();
    // oxlint-disable-next-line no-await-in-loop -- frames come all the while
    await world.pass(3);
  }
}

describe("what people are told of the doorbells", () => {
  const told = (world: World): unknown => world.device.driverStatus()["doorbells"];

  it("is that they are direct while the guest has its device to itself, and why not while it is logged", async () => {
    const world = await World.create(MAPPED);
    await soundAfter(world);
    expect(told(world)).toMatchObject({ wanted: "direct", now: "direct" });
    await startLog(world);
    expect(told(world)).toMatchObject({
      wanted: "direct",
      now: "trapped",
      why: expect.stringContaining("logged") as string,
    });
    await stopLog(world);
    expect(told(world)).toMatchObject({ now: "direct" });
  });

  it("is that they are trapped because the option says so, where it does", async () => {
    const trapped = await World.create({ options: { shadow: "while-saving" } });
    expect(told(trapped)).toMatchObject({ now: "trapped", why: expect.stringContaining("option") });
  });

  it("is that they are trapped because the base lets nobody map the pages, and frames pass all the same", async () => {
    const world = await World.create({ options: MAPPED.options ?? {}, mappable: false });
    expect(told(world)).toEqual({
      wanted: "direct",
      now: "trapped",
      why: "the base lets nobody map the pages of BAR0 that hold the queues' registers",
    });
    await soundAfter(world);
    expect(modeOf(world)).toBe("direct");
  });

  it.each([
    [true, "the queues are not on the guest's own rings yet"],
    [false, "the queues are relayed, and the option handBack is off"],
  ])(
    "is that the queues are relayed still once the log is over (handBack: %s)",
    async (handBack, why) => {
      const world = await World.create({ ...MAPPED, options: { ...MAPPED.options, handBack } });
      await startLog(world);
      await world.settle(facets(world.device).logging.stop());
      expect(told(world)).toEqual({ wanted: "direct", now: "trapped", why });
      await world.pass(40);
      expect(told(world)).toMatchObject({ now: handBack ? "direct" : "trapped" });
      await soundAfter(world);
    },
  );
});

describe.each(WAYS)("a guest that has its VF to itself (%s)", (_way, options) => {
  it("passes frames on its own rings, and none of its vectors is ours", async () => {
    const world = await World.create(options);
    await soundAfter(world);
    expect(modeOf(world)).toBe("direct");
    expect(world.device.driverStatus()).toMatchObject({ relayed: [{}], switches: [] });
    expect(world.missed).toBe(0);
  });

  it("moves to and fro at any ring index, and goes back to its own rings each time", async () => {
    const world = await World.create(options);
    await toAndFro(world, async () => {
      await world.pass(40);
      expect(modeOf(world)).toBe("direct");
    });
    await soundAfter(world);
  });

  it("is put on private rings and back at any place, under traffic, and loses only what came meanwhile", async () => {
    const stop = fc.record({
      ringSize: fc.integer({ min: 8, max: 12 }).map((eights) => 8 * eights),
      counts: fc.array(fc.integer({ min: 0, max: 90 }), { minLength: 1, maxLength: 6 }),
      length: fc.integer({ min: 60, max: 1500 }),
    });
    await fc.assert(
      fc.asyncProperty(stop, async ({ ringSize, counts, length }) => {
        const driver = { ringSize, txSegment: 700 };
        const world = await World.create({ ...options, driver });
        for (const count of counts) {
          world.traffic(count, length);
          // oxlint-disable-next-line no-await-in-loop -- one after the other
          await startLog(world);
          expect(modeOf(world)).toBe("relay");
          world.traffic(count % 11, length);
          // oxlint-disable-next-line no-await-in-loop -- one after the other
          await stopLog(world);
          expect(modeOf(world)).toBe("direct");
        }
        await soundAfter(world);
        const { enter, leave } = statusOf(world).switchTotals;
        expect([enter.count, leave.count]).toEqual([counts.length, counts.length]);
      }),
      { numRuns: 12 },
    );
  });

  it("saves what a guest that was always relayed saves", async () => {
    const records = async (world: World): Promise<unknown> => {
      world.traffic(150);
      const { logging, migration } = facets(world.device);
      const range = { iova: RAM_IOVA, size: BigInt(world.ram.length) };
      await world.settle(logging.start({ pageSize: PAGE, ranges: [range] }));
      await world.pass(20);
      world.driver.pause();
      await world.settle(migration.setState("stop-copy"));
      const into = new Uint8Array(65_536);
      const length = await world.settle(migration.readData(into));
      return inspectState(into.subarray(0, length), igbVf.state).records.slice(1, -1);
    };
    expect(await records(await World.create(options))).toEqual(await records(await World.create()));
  });
});
