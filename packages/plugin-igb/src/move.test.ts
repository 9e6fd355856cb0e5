import { inspectState } from "@vfmig/core";
import { describe, expect, it } from "vitest";
import igbVf from "./index.ts";
import { ALL_VECTORS, REGISTER } from "./registers/registers.ts";
import { write } from "./testing/guest-registers.ts";
import { move } from "./testing/move.ts";
import { soundAfter, soundNow, toAndFro } from "./testing/sound.ts";
import { GUEST_MAC, World } from "./testing/world.ts";

describe("an 82576 VF with the plugin", () => {
  it("passes frames both ways once its guest's driver is up", async () => {
    const world = await World.create();
    world.traffic(300);
    world.collect();
    expect(world.wrongs()).toEqual([]);
    expect(world.taken + world.given).toBe(600);
    expect(world.missed).toBe(0);
  });

  it.each(["always", "while-saving"])(
    "raises the vectors that its guest asks for itself (%s)",
    async (shadow) => {
      const world = await World.create({ options: { shadow } });
      await world.pass(5);
      const { interrupts } = world.driver.counters;
      write(world, REGISTER.EICS, ALL_VECTORS);
      await world.pass(1);
      expect(world.driver.counters.interrupts).toBeGreaterThanOrEqual(interrupts + 3);
      await soundAfter(world);
    },
  );
});

describe("a move between two VFs of one card", () => {
  it("goes to and fro at any ring index without losing a frame that a device took", async () => {
    const world = await World.create();
    await toAndFro(world);
    soundNow(world, 100);
  });

  it("announces the guest's address from its new port", async () => {
    const world = await World.create();
    world.collect();
    await move(world);
    const announced = world.collect().filter((frame) => frame[12] === 0x80 && frame[13] === 0x35);
    expect(announced).toHaveLength(1);
  });

  it("writes a state that anybody can read, field by field", async () => {
    const world = await World.create();
    const { state } = await move(world);
    const tree = inspectState(state, igbVf.state);
    expect(JSON.stringify(tree)).toContain(GUEST_MAC);
    expect(tree.sound).toBe(true);
  });
});
