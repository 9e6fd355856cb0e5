import { readFileSync } from "node:fs";
import { PCI_REGION } from "@vfmig/core";
import { describe, expect, it } from "vitest";
import { CTRL_RESET, QUEUE, REGISTER } from "./registers/registers.ts";
import { write } from "./testing/guest-registers.ts";
import { facets } from "./testing/move.ts";
import { MAPPED, modeOf, quiet, startLog } from "./testing/own-rings.ts";
import { soundAfter } from "./testing/sound.ts";
import { World, type WorldOptions } from "./testing/world.ts";

async function stopLog(world: World): Promise<void> {
  await world.settle(facets(world.device).logging.stop());
}

/** The driver begins anew, whatever became of its frames. */
async function again(world: World): Promise<void> {
  // One that heard of its PF's reset does so by itself.
  // oxlint-disable-next-line no-await-in-loop -- until it has come up
  while (world.driver.state === "resetting") await world.pass(1);
  await world.settle(world.driver.resetFunction());
  await world.pass(20);
}

describe("a reset while queues change rings", () => {
  const resets: [string, (world: World) => void][] = [
    ["by the guest", (world) => write(world, REGISTER.CTRL, CTRL_RESET)],
    [
      "of the function",
      (world) => world.device.writeRegion(PCI_REGION.CONFIG, 0xa8, Uint8Array.of(0, 0x80)),
    ],
    ["of the PF", (world) => world.nic.resetPf()],
  ];
  it.each(resets)("%s leaves a VF that its driver can start again", async (_what, reset) => {
    for (let turn = 0; turn < 14; turn++) {
      // oxlint-disable-next-line no-await-in-loop -- at each point of the change
      const world = await World.create(MAPPED);
      let left = turn;
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await startLog(world, () => {
        if (left-- === 0) reset(world);
      });
      if (left >= 0) reset(world);
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await again(world);
      expect(modeOf(world)).toBe("relay");
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await stopLog(world);
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await soundAfter(world);
      expect(modeOf(world)).toBe("direct");
    }
  });

  it.each(resets)("%s in the middle of a hand-back, too", async (_what, reset) => {
    for (let turn = 0; turn < 10; turn++) {
      // oxlint-disable-next-line no-await-in-loop -- at each point of the change
      const world = await World.create(MAPPED);
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await startLog(world, quiet);
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await stopLog(world);
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await world.pass(turn * 1.5);
      reset(world);
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await again(world);
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await world.pass(150);
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await soundAfter(world);
      expect(modeOf(world)).toBe("direct");
    }
  });

  it("by the device's user ends the session, and the device is its own again", async () => {
    const world = await World.create(MAPPED);
    const { migration } = facets(world.device);
    await world.settle(migration.setState("stop-copy"));
    await world.settle(world.device.reset());
    expect([migration.state, modeOf(world)]).toEqual(["running", "direct"]);
    await again(world);
    await soundAfter(world);
  });

  it("a queue that the guest switches off meanwhile stays off", async () => {
    const world = await World.create(MAPPED);
    let turn = 0;
    await startLog(world, () => {
      if (turn++ === 3) write(world, REGISTER.RX_QUEUE + QUEUE.CONTROL, 0);
    });
    expect(world.nic.deliver(new Uint8Array(60).fill(0xff))).toEqual([]);
    await again(world);
    await soundAfter(world);
  });
});

describe("whoever needs the queues relayed", () => {
  it("waits for a change of rings that somebody else began", async () => {
    const world = await World.create(MAPPED);
    const { migration } = facets(world.device);
    world.traffic(30);
    const both = Promise.all([startLog(world, quiet), world.settle(migration.setState("stop"))]);
    await world.settle(both);
    expect(world.device.driverStatus()).toMatchObject({
      open: ["logging", "saving"],
      switchTotals: { enter: { count: 1 } },
    });
    await world.settle(migration.setState("running"));
    expect(modeOf(world)).toBe("relay");
    await stopLog(world);
    await soundAfter(world);
    expect(modeOf(world)).toBe("direct");
  });

  it("gets them again in the middle of a hand-back, at each point of it", async () => {
    for (let turn = 0; turn < 16; turn++) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const world = await World.create(MAPPED);
      const { migration } = facets(world.device);
      world.traffic(30 + turn);
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await startLog(world, quiet);
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await stopLog(world);
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await world.pass(turn);
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await world.settle(migration.setState("stop"));
      expect(modeOf(world)).toBe("relay");
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await world.settle(migration.setState("running"));
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await soundAfter(world);
      expect(modeOf(world)).toBe("direct");
    }
  });

  it("may close the device in the middle of either, and nothing is said of it", async () => {
    for (let turn = 0; turn < 14; turn++) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const world = await World.create(MAPPED);
      world.driver.pause();
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await startLog(world, quiet);
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await stopLog(world);
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await world.pass(turn);
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await world.settle(world.reach(world.at)[Symbol.asyncDispose]());
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await world.pass(100);
      expect(world.warnings).toEqual([]);
    }
  });
});

describe("the PF's words to a guest that has its VF to itself", () => {
  it("reach it by its own vector, which the device raises", async () => {
    const world = await World.create(MAPPED);
    const { interrupts } = world.driver.counters;
    world.nic.ping();
    await world.pass(2);
    expect(world.driver.counters.interrupts).toBeGreaterThan(interrupts);
    await soundAfter(world);
  });
});

describe("a state that version 0.1.0 wrote", () => {
  const fixture = JSON.parse(
    readFileSync(new URL("testing/fixtures/state-1.json", import.meta.url), "utf8"),
  ) as { readonly state: string; readonly tx: number; readonly rx: number };

  it.each<[string, WorldOptions]>([
    ["always", {}],
    ["while-saving", MAPPED],
  ])("is taken (%s)", async (_mode, options) => {
    const world = await World.create(options);
    const target = world.deviceAt(1);
    const { migration } = facets(target);
    await world.settle(migration.setState("resuming"));
    await world.settle(migration.writeData(Buffer.from(fixture.state, "base64")));
    await world.settle(migration.setState("stop"));
    const { tx, rx } = fixture;
    expect(target.driverStatus()["ringIndices"]).toEqual([{ queue: 0, tx, rx }]);
    expect(world.nic.pf[1]?.vlans).toEqual(new Set([5]));
  });
});
