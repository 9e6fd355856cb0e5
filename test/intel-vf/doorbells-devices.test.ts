import { PCI_REGION, VfmigError } from "@vfmig/core";
import { DYN_CTL, rxTail, txTail, vectorControl, vectorItr } from "@vfmig/iavf";
import { vfOptionsSchema } from "@vfmig/iavf/vf";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  directDoorbells,
  doorbells,
  mappedPages,
  queueMessages,
  untilMapped,
  userOf,
} from "./rig/doorbells.ts";
import { endWell } from "./rig/end.ts";
import { FAMILIES } from "./rig/family.ts";
import { facets, move } from "./rig/move.ts";
import { flow, meddling, modes, spoil, startLog, stopLog, turn, under } from "./rig/shadow.ts";
import { PAGE, World, type WorldOptions } from "./rig/world.ts";

/** DISABLE_QUEUES of virtchnl. */
const DISABLE_QUEUES = 9;

describe.each(FAMILIES)("$name", (family) => {
  const create = (options: WorldOptions = {}): Promise<World> =>
    World.create(directDoorbells({ family, limits: { unmapMs: 30 }, ...options }));

  test.each(["zero", "noise"] as const)(
    "a device whose tails read as %s keeps its doorbells trapped, says so, and moves as any other",
    async (tailReads) => {
      const world = await create({ models: [{ tailReads }, { tailReads }] });
      await flow(world, 800);
      expect(doorbells(world)).toMatchObject({
        wanted: "direct",
        now: "trapped",
        why: expect.stringMatching(
          /^the [RT]x tail of queue \d read back as 0x[\da-f]+ after \d+/u,
        ),
      });
      await startLog(world);
      await flow(world, 200);
      await stopLog(world);
      await flow(world, 500);
      await move(world, 1);
      await flow(world, 800);
      expect([mappedPages(world), userOf(world).direct]).toEqual([[], 0]);
      await endWell(world);
    },
  );

  test("a base that lets nobody map BAR0 keeps the doorbells trapped, and says so", async () => {
    const { mapping: _mapping, ...options } = directDoorbells({ family });
    const world = await World.create(options);
    await flow(world, 1000);
    expect(doorbells(world)).toMatchObject({ now: "trapped", why: expect.stringMatching(/base/u) });
    await world.close();
  });

  test("doorbells that are not asked to be direct have no page that can be mapped", async () => {
    const world = await create({ options: { doorbells: "trapped" } });
    await flow(world, 800);
    expect(doorbells(world)).toEqual({
      wanted: "trapped",
      now: "trapped",
      why: 'the option doorbells is "trapped"',
    });
    expect(mappedPages(world)).toEqual([]);
    expect(world.host.device.info.irqs.some(({ type }) => type !== undefined)).toBe(false);
    await world.close();
  });

  test("queues that wait are found where they are: never used, and used and left alone", async () => {
    const pairs = 8;
    const model = { queuePairs: pairs, vectors: 5 };
    const world = await create({
      models: [model, model],
      driver: { queuePairs: pairs, ringSize: 64 },
    });
    await untilMapped(world);
    for (const frames of [40, 0, 900, 0]) {
      // oxlint-disable-next-line no-await-in-loop -- one stop after the other
      await flow(world, frames);
      world.quiesce();
      world.clock.advance(50);
      const before = world.driver.indices;
      const { device } = world.host;
      world.driver.pause();
      // oxlint-disable-next-line no-await-in-loop -- one stop after the other
      await world.settle(facets(device).migration.setState("stop"));
      expect(device.driverStatus()["ringIndices"]).toEqual(
        before.map(({ queue, txNextToUse: tx, rxNextToClean: rx }) => ({ queue, tx, rx })),
      );
      // oxlint-disable-next-line no-await-in-loop -- one stop after the other
      await world.settle(facets(device).migration.setState("running"));
      world.driver.resume();
      // oxlint-disable-next-line no-await-in-loop -- one stop after the other
      await untilMapped(world);
    }
    // Some were never used, and some were.
    const used = world.driver.indices.map(({ txNextToUse }) => txNextToUse > 0);
    expect(new Set(used).size).toBe(2);
    await endWell(world);
  });

  test("a PF that stops no pair leaves the guest its rings and its doorbells", async () => {
    let refuse = false;
    const plugin = meddling(family.plugin, (opcode, body) => {
      if (refuse && opcode === DISABLE_QUEUES) spoil(body);
    });
    const world = await create({ plugin });
    await untilMapped(world);
    refuse = true;
    const { migration } = facets(world.host.device);
    await expect(under(world, migration.setState("stop"))).rejects.toMatchObject({
      code: "ERR_VFMIG_PF_REFUSED",
    });
    expect(modes(world)).toEqual(new Set(["direct"]));
    await untilMapped(world);
    userOf(world).clearCounts();
    await flow(world, 500);
    expect(queueMessages(world)).toBe(0);
    await endWell(world);
  });

  test("masks and intervals that a guest has set by itself stay what they are", async () => {
    const world = await create();
    await untilMapped(world);
    world.quiesce();
    world.driver.pause();
    const user = userOf(world);
    const wanted = [
      [vectorItr(1, 0), 77],
      [vectorItr(2, 1), 33],
      [vectorControl(2), DYN_CTL.ITR_INDX_MASK],
      [vectorControl(1), DYN_CTL.ITR_INDX_MASK],
    ] as const;
    const bytes = new Uint8Array(4);
    const data = new DataView(bytes.buffer);
    const check = (): void => {
      for (const [offset, value] of wanted) {
        user.readRegion(PCI_REGION.BAR0, offset, bytes);
        expect({ offset, value: data.getUint32(0, true) }).toEqual({ offset, value });
      }
    };
    for (const [offset, value] of wanted) {
      data.setUint32(0, value, true);
      user.writeRegion(PCI_REGION.BAR0, offset, bytes);
    }
    const { logging } = facets(world.host.device);
    await world.settle(logging.start({ pageSize: PAGE, ranges: [] }));
    expect(mappedPages(world)).toEqual([]);
    check();
    await world.settle(logging.stop());
    world.driver.resume();
    await untilMapped(world);
    await world.close();
  });

  test("a hostile guest can write what it likes by its mapping while its pairs change rings", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(hostileStep, { maxLength: 60 }), async (steps) => {
        const world = await create({ models: [{}], options: { drainMs: 1, pfTimeoutMs: 10 } });
        await untilMapped(world);
        world.driver.pause();
        await hostile(world, steps);
        const { device } = world.host;
        await world.settle(device.reset());
        await world.close();
      }),
      { numRuns: 8 },
    );
  }, 60_000);
});

test("Doorbells cannot be direct where queues are always relayed", () => {
  expect(() => vfOptionsSchema.parse({ doorbells: "direct" })).toThrow(
    /needs shadow: .*while-saving/u,
  );
  const parsed = vfOptionsSchema.parse({ doorbells: "direct", shadow: "while-saving" });
  expect(parsed.doorbells).toBe("direct");
  expect(vfOptionsSchema.parse({}).doorbells).toBe("trapped");
});

const hostileStep = fc.record({
  kind: fc.constantFrom("write", "read", "time", "log", "stop", "manners"),
  at: fc.oneof(
    fc.integer({ min: 0, max: 3 }).map(txTail),
    fc.integer({ min: 0, max: 3 }).map(rxTail),
    fc.integer({ min: 0, max: 4 }).map(vectorControl),
    fc.integer({ min: 0, max: 0x8fff }),
  ),
  value: fc.oneof(fc.nat(0xffff_ffff), fc.nat(600)),
});

type HostileStep = typeof hostileStep extends fc.Arbitrary<infer Step> ? Step : never;

async function hostile(world: World, steps: readonly HostileStep[]): Promise<void> {
  const { device, user } = world.host;
  const { logging, migration } = facets(device);
  const bytes = new Uint8Array(4);
  let on = false;
  for (const { kind, at, value } of steps) {
    new DataView(bytes.buffer).setUint32(0, value, true);
    if (kind === "write") {
      user.writeRegion(PCI_REGION.BAR0, at, bytes);
    } else if (kind === "read") {
      user.readRegion(PCI_REGION.BAR0, at, bytes);
    } else if (kind === "manners") {
      userOf(world).manners = value % 2 === 0 ? "late" : "never";
    } else if (kind === "log") {
      const asked = on ? logging.stop() : logging.start({ pageSize: PAGE, ranges: [] });
      asked.catch(() => {});
      on = !on;
    } else if (kind === "stop") {
      migration.setState(value % 2 === 0 ? "stop" : "running").catch(() => {});
    } else {
      world.clock.advance(value % 64);
    }
    // oxlint-disable-next-line no-await-in-loop -- one step after the other
    await turn();
  }
  const back = migration.setState("running").catch((error: unknown) => error);
  const failure = await world.settle(back);
  expect(failure === undefined || VfmigError.is(failure)).toBe(true);
}
