import { PCI_REGION } from "@vfmig/core";
import { DYN_CTL, vectorControl, vectorItr } from "@vfmig/iavf";
import { describe, expect, test } from "vitest";
import { FAMILIES } from "./rig/family.ts";
import { facets, flaws, move, NO_FLAWS } from "./rig/move.ts";
import {
  flow,
  Losses,
  modes,
  pass,
  random,
  startLog,
  status,
  stopLog,
  turn,
  untilDirect,
  whileSaving,
} from "./rig/shadow.ts";
import { RAM_IOVA, udp, World, type WorldOptions } from "./rig/world.ts";

/** First address behind the guest's memory. */
const RAM_END = Number(RAM_IOVA) + (14 << 20);
/** Pages of tails, throttling and queue vectors. */
const QUEUE_PAGES = [0, 0x2000, 0x3000];

function read32(world: World, offset: number): number {
  const bytes = new Uint8Array(4);
  world.host.device.readRegion(PCI_REGION.BAR0, offset, bytes);
  return new DataView(bytes.buffer).getUint32(0, true);
}

function write32(world: World, offset: number, value: number): void {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  world.host.device.writeRegion(PCI_REGION.BAR0, offset, bytes);
}

/** Rings that the device works on: the guest's lie in its memory. */
function guestRings(world: World): boolean[] {
  const inside = (ring: number): boolean => ring >= Number(RAM_IOVA) && ring < RAM_END;
  return world.host.model.truth
    .queueContexts()
    .flatMap(({ txRing, rxRing }) => [inside(txRing), inside(rxRing)]);
}

function txRing(world: World): number {
  return world.host.model.truth.queueContexts()[0]?.txRing ?? 0;
}

describe.each(FAMILIES)("$name", (family) => {
  const create = (options: WorldOptions = {}): Promise<World> =>
    World.create(whileSaving({ family, ...options }));

  describe("a guest whose queues are relayed only while that is needed", () => {
    test("comes up on its own rings, and nothing of ours stands between it and them", async () => {
      const world = await create();
      await flow(world, 2000);
      world.quiesce();
      expect(modes(world)).toEqual(new Set(["direct"]));
      expect(new Set(guestRings(world))).toEqual(new Set([true]));
      for (const { tx, rx } of status(world).relayed) {
        expect([tx.forwarded, rx.forwarded]).toEqual([0, 0]);
      }
      // Of the queues' registers only the tails are noted on their way.
      const trapped = status(world).trapped.filter(({ region }) => region === PCI_REGION.BAR0);
      expect(trapped).toEqual([
        { region: 0, offset: 0, size: 64 },
        { region: 0, offset: 0x2000, size: 64 },
        { region: 0, offset: 0x4000, size: 0x5000 },
      ]);
      expect(world.wrongs()).toEqual([]);
      expect(world.missed).toBe(0);
      await world.close();
    });

    test("is relayed while its device's writes are logged, and gets its rings back", async () => {
      const world = await create();
      const lost = new Losses();
      await flow(world, 700, undefined, lost);
      await startLog(world, lost);
      expect(modes(world)).toEqual(new Set(["relay"]));
      expect(new Set(guestRings(world))).toEqual(new Set([false]));
      const pages = status(world).trapped.filter(({ region }) => region === PCI_REGION.BAR0);
      for (const page of QUEUE_PAGES) {
        expect(
          pages.some(({ offset, size }) => offset <= page && page + 0x1000 <= offset + size),
        ).toBe(true);
      }
      await flow(world, 2000, undefined, lost);
      await stopLog(world);
      await untilDirect(world, undefined, lost);
      expect(new Set(guestRings(world))).toEqual(new Set([true]));
      const before = status(world).relayed;
      await flow(world, 3000, undefined, lost);
      world.quiesce();
      expect(status(world).relayed).toEqual(before);
      expect(lost.outside(world)).toEqual([]);
      expect(world.wrongs()).toEqual([]);
      await world.close();
    });

    test.each([
      [1, 12],
      [4, 5],
      [16, 2],
    ])(
      "changes rings of %i pairs at any index, and loses frames in windows only",
      async (pairs, rounds) => {
        const seed = 20_261_122 + pairs;
        const below = random(seed);
        const world = await create({
          models: [{ queuePairs: pairs, vectors: Math.min(pairs, 4) + 1 }],
          driver: { queuePairs: pairs, ringSize: [64, 96, 128][below(3)] ?? 64 },
        });
        const lost = new Losses();
        for (let n = 0; n < rounds; n++) {
          // oxlint-disable-next-line no-await-in-loop -- one round after the other
          await round(world, below, lost);
          // A switch that has begun comes to its end.
          // oxlint-disable-next-line no-await-in-loop -- one round after the other
          await pass(world, 60);
          world.quiesce();
          const wrong = { outside: lost.outside(world), wrongs: world.wrongs() };
          expect({ seed, n, ...wrong }).toEqual({ seed, n, outside: [], wrongs: [] });
        }
        expect(world.host.model.truth.maliciousEvents).toBe(0);
        const { switches } = status(world);
        // A hand-back may find that its guest was too quick for it.
        expect(
          switches.filter(({ kind, outcome }) => kind === "enter" && outcome !== "done"),
        ).toEqual([]);
        const left = switches.filter(({ kind, outcome }) => kind === "leave" && outcome === "done");
        expect(left.length).toBeGreaterThan(rounds / 2);
        await world.close();
      },
      30_000,
    );

    test("moves to and fro from wherever it is: direct, relayed or on its way back", async () => {
      const seed = 7;
      const below = random(seed);
      const world = await create();
      const started = new Set<string>();
      for (let n = 0; n < 8; n++) {
        // oxlint-disable-next-line no-await-in-loop -- one move after the other
        await flow(world, below(3) === 0 ? 5000 : below(1000));
        started.add([...modes(world)].toSorted().join());
        world.frame();
        world.clock.runSoon(below(6));
        // oxlint-disable-next-line no-await-in-loop -- one move after the other
        const result = await move(world, 1 - world.at, { blackout: below(4) });
        world.quiesce();
        expect({ seed, n, ...flaws(world, result) }).toEqual({ seed, n, ...NO_FLAWS });
      }
      expect(started).toContain("direct");
      expect(started).toContain("direct,relay");
      await world.close();
    }, 30_000);

    test("moves without a log, since the save itself opens shadow mode", async () => {
      const world = await create();
      await flow(world, 500);
      const { migration } = facets(world.host.device);
      world.driver.pause();
      await world.settle(migration.setState("stop-copy"));
      expect(modes(world)).toEqual(new Set(["relay"]));
      await world.settle(migration.setState("running"));
      world.driver.resume();
      await untilDirect(world);
      world.quiesce();
      expect(world.wrongs()).toEqual([]);
      await world.close();
    });

    test("stays relayed where hand-back is off", async () => {
      const world = await create({ options: { handBack: false } });
      await flow(world, 500);
      await startLog(world);
      await stopLog(world);
      await flow(world, 8000);
      expect(modes(world)).toEqual(new Set(["relay"]));
      await startLog(world);
      await flow(world, 500);
      world.quiesce();
      expect(world.wrongs()).toEqual([]);
      await world.close();
    });

    test("keeps its interrupt masks and intervals over both switches", async () => {
      const world = await create();
      await flow(world, 200);
      world.quiesce();
      world.driver.pause();
      const wanted = [
        [vectorItr(1, 0), 77],
        [vectorItr(1, 1), 33],
        [vectorItr(2, 0), 5],
        [vectorControl(2), DYN_CTL.ITR_INDX_MASK],
      ] as const;
      const check = (): void => {
        for (const [offset, value] of wanted) {
          expect({ offset, value: read32(world, offset) }).toEqual({ offset, value });
        }
      };
      for (const [offset, value] of [...wanted, [vectorControl(1), DYN_CTL.REARM] as const]) {
        write32(world, offset, value);
      }
      check();
      const { logging } = facets(world.host.device);
      await world.settle(logging.start({ pageSize: 4096, ranges: [] }));
      check();
      // One that was armed has told the guest once of the switch, and waits to be armed again.
      expect(read32(world, vectorControl(1)) & DYN_CTL.INTENA).toBe(0);
      write32(world, vectorControl(1), DYN_CTL.REARM);
      await world.settle(logging.stop());
      await pass(world, 2000);
      expect(modes(world)).toEqual(new Set(["direct"]));
      check();
      expect(read32(world, vectorControl(1)) & DYN_CTL.INTENA).toBe(DYN_CTL.INTENA);
      world.driver.resume();
      await flow(world, 500);
      world.quiesce();
      expect(world.wrongs()).toEqual([]);
      await world.close();
    });

    test("finds its Tx ring as it left it, but for what was reported, when it has its rings back", async () => {
      const world = await create({ driver: { queuePairs: 1, ringSize: 256, txSegment: 128 } });
      await flow(world, 24);
      const at = txRing(world) - Number(RAM_IOVA);
      await startLog(world);
      world.quiesce();
      const [ring] = world.driver.indices;
      expect(ring?.txNextToUse).toBeGreaterThan(40);
      const { ram } = world.host;
      const before = ram.slice(at, at + 256 * 16);
      await stopLog(world);
      await pass(world, 500);
      expect(modes(world)).toEqual(new Set(["direct"]));
      // Rx slots that were discarded are taken and posted again; nothing of Tx has changed.
      expect(txRing(world) - Number(RAM_IOVA)).toBe(at);
      expect(Buffer.compare(ram.subarray(at, at + 256 * 16), before)).toBe(0);
      await flow(world, 400);
      world.quiesce();
      expect(world.wrongs()).toEqual([]);
      await world.close();
    });
  });

  test("a frame of which the device has received a part ends broken, and the guest drops it", async () => {
    let parts = 0;
    for (const small of [0, 1, 2]) {
      // oxlint-disable-next-line no-await-in-loop -- one world at a time
      parts += await enterWithinFrame(await create(JUMBO), small);
    }
    expect(parts).toBeGreaterThan(0);
  });
});

const JUMBO: WorldOptions = { driver: { mtu: 9000, ringSize: 64, queuePairs: 1 } };

/**
 * Opens the log while the guest stands still and its Rx ring has run out, perhaps in the middle of a
 * frame; gives the number of frames that were cut off.
 */
async function enterWithinFrame(world: World, small: number): Promise<number> {
  await flow(world, 400, 1400);
  world.quiesce();
  world.driver.pause();
  const { port, model, device } = world.host;
  for (let n = 0; n < small; n++) {
    port.deliver(udp(0x0b, 0x0a, 1, 100));
  }
  while (port.deliver(udp(0x0b, 0x0a, 1, 8000)) === "accepted");
  const started = facets(device).logging.start({ pageSize: 4096, ranges: [] });
  for (let n = 0; n < 20; n++) {
    world.clock.advance(0.25);
    // oxlint-disable-next-line no-await-in-loop -- the pair stops and starts
    await turn();
  }
  world.driver.resume();
  await world.settle(started);
  const { rxErrors } = world.driver.counters;
  await flow(world, 400, 1400);
  world.quiesce();
  expect(world.wrongs()).toEqual([]);
  expect(world.driver.counters.rxErrors - rxErrors).toBeLessThanOrEqual(1);
  await world.close();
  return model.truth.partialDropped;
}

/** Some traffic, a log under traffic, and hand-back as far as it gets. */
async function round(world: World, below: (n: number) => number, lost: Losses): Promise<void> {
  await flow(world, below(800), undefined, lost);
  for (let n = below(5); n > 0; n--) {
    world.frame();
  }
  world.clock.runSoon(below(6));
  await startLog(world, lost);
  await flow(world, below(300), undefined, lost);
  await stopLog(world);
  if (below(3) > 0) {
    await untilDirect(world, 60_000, lost);
  } else {
    await flow(world, below(900), undefined, lost);
  }
}
