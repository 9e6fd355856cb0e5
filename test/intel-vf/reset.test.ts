import { PCI_REGION } from "@vfmig/core";
import { describe, expect, test } from "vitest";
import { facets, move } from "./rig/move.ts";
import { FAMILIES } from "./rig/family.ts";
import { pass } from "./rig/shadow.ts";
import { World, type WorldOptions } from "./rig/world.ts";

describe.each(FAMILIES)("$name", (family) => {
  const create = (options: WorldOptions = {}): Promise<World> =>
    World.create({ family, ...options });

  describe("a reset under a shadowed VF", () => {
    test("asked for by the guest brings it up again, and it moves afterwards", async () => {
      const world = await create();
      world.traffic(200);
      world.quiesce();
      await world.settle(world.driver.resetFunction());
      world.traffic(200);
      await move(world, 1);
      world.traffic(200);
      world.quiesce();
      expect(world.wrongs()).toEqual([]);
      expect(world.driver.counters.resets).toBe(1);
      await world.close();
    });

    test.each([true, false])(
      "of the PF's own accord is noticed (announced: %s)",
      async (announce) => {
        const world = await create();
        world.traffic(200);
        world.quiesce();
        world.host.model.control.resetVf(announce);
        // An unannounced one is noticed by the driver's watchdog.
        world.clock.advance(8000);
        await world.settle(Promise.resolve());
        expect(world.driver).toMatchObject({ state: "running", linkUp: true });
        world.traffic(200);
        world.quiesce();
        expect(world.wrongs()).toEqual([]);
        await world.close();
      },
    );

    test("through Device Control forgets everything, and the next guest starts afresh", async () => {
      const world = await create();
      world.traffic(50);
      world.quiesce();
      await world.settle(world.driver.remove());
      const capability = new Uint8Array(2);
      const { device } = world.host;
      device.readRegion(PCI_REGION.CONFIG, 0xa8, capability);
      capability[1] = (capability[1] ?? 0) | 0x80;
      device.writeRegion(PCI_REGION.CONFIG, 0xa8, capability);
      world.clock.advance(200);
      const description = await world.settle(device.description.describe());
      expect(description.uses).not.toHaveProperty("virtchnl");
      expect(device.driverStatus()["relayed"]).toEqual([]);
      await world.close();
    });

    test("while the guest stands still on another host's behalf does not stop a later move", async () => {
      const world = await create();
      world.traffic(100);
      await move(world, 1);
      await world.settle(world.hostAt(0).device.reset());
      world.hostAt(0).model.control.resetVf(false);
      world.clock.advance(50);
      await move(world, 0);
      world.traffic(100);
      world.quiesce();
      expect(world.wrongs()).toEqual([]);
      await world.close();
    });
  });

  describe("a PF that does not help", () => {
    test("by silence at the stop fails the stop, and the guest goes on", async () => {
      const world = await create({ options: { pfTimeoutMs: 20, drainMs: 1 } });
      world.traffic(100);
      const { model, device } = world.host;
      model.control.setReplyDelay(60_000);
      await expect(world.settle(facets(device).migration.setState("stop"))).rejects.toMatchObject({
        code: "ERR_VFMIG_PF_SILENT",
      });
      expect(device.migration?.state).toBe("running");
      world.traffic(200);
      world.quiesce();
      expect(world.wrongs()).toEqual([]);
      await world.close();
    });

    test("by stopping the queues after the stop was given up gets them started again", async () => {
      const world = await create({ options: { pfTimeoutMs: 20, drainMs: 1 } });
      world.traffic(100);
      const { model, device } = world.host;
      model.control.setReplyDelay(500);
      await expect(world.settle(facets(device).migration.setState("stop"))).rejects.toMatchObject({
        code: "ERR_VFMIG_PF_SILENT",
      });
      model.control.setReplyDelay(0);
      await pass(world, 700);
      const { missed } = world;
      world.traffic(300);
      await move(world, 1, { blackout: 0 });
      world.traffic(300);
      world.quiesce();
      expect(world.missed).toBe(missed);
      expect(world.wrongs()).toEqual([]);
      await world.close();
    });

    test("by a slow link loses no frame that was posted before the stop", async () => {
      const world = await create({ driver: { queuePairs: 1 } });
      for (let n = 0; n < 300; n++) {
        world.frame();
      }
      await move(world, 1, { blackout: 20 });
      world.traffic(100);
      world.quiesce();
      expect(world.wrongs()).toEqual([]);
      await world.close();
    });

    test("by refusing the guest's address fails the load with its reason, and the source goes on", async () => {
      const world = await create({
        models: [{}, { mac: "02:00:00:00:00:77", adminMac: true }],
        // Asked for its policy, the PF would have said so before.
        options: { askPolicy: false },
      });
      world.traffic(100);
      await expect(move(world, 1)).rejects.toMatchObject({ code: "ERR_VFMIG_PF_REFUSED" });
      await world.settle(facets(world.hostAt(0).device).migration.setState("running"));
      world.driver.rebind({ device: world.hostAt(0).device, memory: world.hostAt(0).ram });
      world.driver.resume();
      world.traffic(100);
      world.quiesce();
      expect(world.wrongs()).toEqual([]);
      await world.close();
    });
  });

  describe("the options", () => {
    test("leave the announcement away where it is not wanted", async () => {
      const count = async (announce: boolean): Promise<number> => {
        const world = await create({ options: { announce } });
        await move(world, 1);
        world.clock.advance(1);
        const frames = world.collect().filter((frame) => frame[12] === 0x80 && frame[13] === 0x35);
        await world.close();
        return frames.length;
      };
      expect([await count(true), await count(false)]).toEqual([1, 0]);
    });
  });
});
