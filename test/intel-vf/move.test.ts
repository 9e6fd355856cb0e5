import { PCI_REGION } from "@vfmig/core";
import { DYN_CTL, vectorControl } from "@vfmig/iavf";
import { describe, expect, test } from "vitest";
import { facets, flaws, move, NO_FLAWS } from "./rig/move.ts";
import { FAMILIES } from "./rig/family.ts";
import { random } from "./rig/shadow.ts";
import { GUEST_MAC, udp, World, type WorldOptions } from "./rig/world.ts";

describe.each(FAMILIES)("$name", (family) => {
  const create = (options: WorldOptions = {}): Promise<World> =>
    World.create({ family, ...options });

  /** The guest writes the control register of a queue vector. */
  function writeControl(world: World, vector: number, value: number): void {
    const { device } = world.host;
    device.writeRegion(PCI_REGION.BAR0, vectorControl(vector), Uint8Array.of(value, 0, 0, 0));
  }

  describe("a guest on a shadowed VF", () => {
    test("comes up and passes frames both ways, as on the bare device", async () => {
      const world = await create();
      world.traffic(3000);
      world.quiesce();
      expect(world.wrongs()).toEqual([]);
      expect(world.missed).toBe(0);
      await world.close();
    });

    test("goes on where it was after a move, with nothing lost, doubled or out of order", async () => {
      const world = await create();
      world.traffic(700);
      const result = await move(world, 1);
      world.traffic(2000);
      world.quiesce();
      expect(world.wrongs()).toEqual([]);
      expect(world.missed).toBeGreaterThan(0);
      expect(result.truth.difference(result.dirty)).toEqual(new Set());
      expect(result.forgotten).toEqual([]);
      await world.close();
    });

    test("moves to and fro a hundred times at any ring index, and no page is forgotten", async () => {
      const seed = 20_260_611;
      const below = random(seed);
      const world = await create();
      const indices = new Set<string>();
      for (let n = 0; n < 100; n++) {
        world.traffic(below(300));
        // The guest may stand still anywhere, also in the middle of its interrupt's work.
        world.frame();
        world.clock.runSoon(below(6));
        // oxlint-disable-next-line no-await-in-loop -- one move after the other
        const result = await move(world, 1 - world.at, {
          blackout: below(4),
          preCopy: below(2) === 1,
        });
        // Nothing comes any more: what the device took must reach the guest without a further push.
        world.quiesce();
        expect({ seed, n, ...flaws(world, result) }).toEqual({ seed, n, ...NO_FLAWS });
        indices.add(JSON.stringify(result.ringIndices));
      }
      expect(indices.size).toBeGreaterThan(90);
      await world.close();
    }, 120_000);

    test("touches no guest memory on the target before it runs, whatever the wire brings", async () => {
      const world = await create();
      world.traffic(300);
      await move(world, 1);
      world.traffic(300);
      // Back to a VF whose Rx tails still say where the last guest on it was.
      await move(world, 0, { noise: udp(0x0b, 0x0a, 1, 100) });
      world.traffic(300);
      world.quiesce();
      expect(world.wrongs()).toEqual([]);
      expect(world.host.model.truth).toMatchObject({ dmaFaults: 0, maliciousEvents: 0 });
      expect(world.host.model.truth.verdicts["dma-fault"]).toBe(0);
      await world.close();
    });

    test("gets the interrupts that came while it had its vectors masked", async () => {
      const world = await create();
      world.traffic(40);
      world.quiesce();
      world.driver.pause();
      for (let vector = 1; vector <= 4; vector++) {
        writeControl(world, vector, 0);
      }
      await move(world, 1, { blackout: 8 });
      const before = world.driver.counters.interrupts;
      for (let vector = 1; vector <= 4; vector++) {
        writeControl(world, vector, DYN_CTL.REARM);
      }
      world.quiesce();
      expect(world.driver.counters.interrupts).toBeGreaterThanOrEqual(before + 4);
      expect(world.wrongs()).toEqual([]);
      await world.close();
    });

    test("moves with frames of several buffers, a slow PF and another address on the target", async () => {
      const world = await create({
        models: [
          { vsiId: 5, pfReplyDelayMs: 3 },
          { vsiId: 21, pfReplyDelayMs: 7, mac: "02:00:00:00:00:99", adminMac: false },
        ],
        driver: { mtu: 9000, txSegment: 1024 },
      });
      world.traffic(200, 1400);
      await move(world, 1);
      world.traffic(300, 1400);
      world.quiesce();
      expect(world.wrongs()).toEqual([]);
      expect(world.driver.mac).toBe(GUEST_MAC);
      await world.close();
    });
  });

  describe("a stop that comes to nothing", () => {
    test("leaves the guest where it was, with all its frames", async () => {
      const world = await create();
      world.traffic(333);
      const { migration } = facets(world.host.device);
      for (let n = 0; n < 3; n++) {
        world.driver.pause();
        // oxlint-disable-next-line no-await-in-loop -- one stop after the other
        await world.settle(migration.setState("stop-copy"));
        world.frame();
        // oxlint-disable-next-line no-await-in-loop -- and on it goes
        await world.settle(migration.setState("running"), () => {
          // Also between the PF's acting and our hearing of it.
          for (let flow = 0; flow < 8; flow++) {
            world.clock.after(flow / 50, () => world.host.port.deliver(udp(0x0b, 0x0a, flow, 100)));
          }
        });
        world.driver.resume();
        world.traffic(400);
      }
      world.quiesce();
      expect(world.wrongs()).toEqual([]);
      await world.close();
    });

    test("writes nothing to guest memory and raises nothing while it lasts", async () => {
      const world = await create();
      world.traffic(100);
      world.driver.pause();
      const { device, ram, model, port } = world.host;
      await world.settle(facets(device).migration.setState("stop"));
      const before = world.driver.counters.interrupts;
      const snapshot = ram.slice();
      model.control.setLink(false);
      for (let n = 0; n < 20; n++) {
        port.deliver(new Uint8Array(100).fill(0xff));
        world.clock.advance(50);
      }
      expect(Buffer.compare(snapshot, ram)).toBe(0);
      expect(world.driver.counters.interrupts).toBe(before);
      await world.settle(facets(device).migration.setState("running"));
      world.driver.resume();
      world.clock.advance(10);
      expect(world.driver.linkUp).toBe(false);
      await world.close();
    });
  });

  describe("a VF that is not in full use", () => {
    test("moves untouched, and a guest then starts on it as on any other", async () => {
      const world = await create({ start: false });
      await move(world, 1, { blackout: 0 });
      await world.settle(world.driver.start());
      world.traffic(300);
      world.quiesce();
      expect(world.wrongs()).toEqual([]);
      await world.close();
    });

    test.each(Array.from({ length: 24 }, (_, index) => index))(
      "moves in the middle of its guest's probe, %i steps into it",
      async (steps) => {
        const world = await create({
          start: false,
          models: [{ pfReplyDelayMs: 6 }, { pfReplyDelayMs: 6 }],
        });
        const started = world.driver.start();
        started.catch(() => {});
        world.clock.advance(5.5 * steps);
        const result = await move(world, 1, { blackout: 0, stoppedMs: steps % 2 === 0 ? 0 : 20 });
        expect(result.forgotten).toEqual([]);
        await world.settle(started);
        world.traffic(300);
        world.quiesce();
        expect(world.wrongs()).toEqual([]);
        await world.close();
      },
    );
  });
});
