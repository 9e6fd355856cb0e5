import { PCI_REGION } from "@vfmig/core";
import { describe, expect, it } from "vitest";
import { move } from "./testing/move.ts";
import { soundNow } from "./testing/sound.ts";
import { GUEST_MAC, World } from "./testing/world.ts";

describe("a guest's driver that begins anew", () => {
  it("comes up again with its address, before a move and after one", async () => {
    const world = await World.create();
    await world.settle(world.driver.resetFunction());
    soundNow(world);
    await move(world);
    await world.settle(world.driver.resetFunction());
    expect(world.nic.pf[1]?.filter).toBe(GUEST_MAC);
    soundNow(world);
  });

  it("finds its queues off after a function level reset in config space", async () => {
    const world = await World.create();
    world.device.writeRegion(PCI_REGION.CONFIG, 0xa8, Uint8Array.of(0, 0x80));
    const control = new Uint8Array(4);
    world.device.readRegion(PCI_REGION.BAR0, 0x2828, control);
    expect(control[3]).toBe(0);
    expect(world.nic.deliver(new Uint8Array(60).fill(0xff))).toEqual([]);
  });

  it("hears of its PF's reset, and comes up again by itself", async () => {
    const world = await World.create();
    world.traffic(10);
    world.clock.advance(1);
    world.nic.resetPf();
    await world.settle(Promise.resolve());
    world.clock.advance(2100);
    for (let turn = 0; turn < 200; turn++) {
      // oxlint-disable-next-line no-await-in-loop -- until the driver has come up again
      await world.settle(Promise.resolve());
      world.clock.advance(1);
    }
    expect(world.driver.state).toBe("running");
    expect(world.driver.counters.resets).toBe(1);
    soundNow(world);
  });
});

describe("a PF that is reset while the function stands still", () => {
  it("is asked again for all that it had granted, before the guest goes on", async () => {
    const world = await World.create({ driver: { vlans: [5] } });
    const { migration } = world.device;
    await world.settle(migration!.setState("stop"));
    world.nic.resetPf();
    world.nic.pf[0]?.vlans.clear();
    // The guest looks, as its driver does; so do we.
    world.device.readRegion(PCI_REGION.BAR0, 0x0c40, new Uint8Array(4));
    await world.settle(migration!.setState("running"));
    expect(world.nic.pf[0]?.vlans).toEqual(new Set([5]));
    soundNow(world);
  });
});
