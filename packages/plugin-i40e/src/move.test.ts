import { describe, expect, test } from "vitest";
import { move } from "./testing/move.ts";
import { World } from "./testing/world.ts";

describe("a guest on a shadowed VF", () => {
  test("comes up and passes frames both ways, as on the bare device", async () => {
    const world = await World.create();
    world.traffic(3000);
    world.quiesce();
    expect(world.wrongs()).toEqual([]);
    expect(world.missed).toBe(0);
    await world.close();
  });

  test("goes on where it was after a move, with nothing lost, doubled or out of order", async () => {
    const world = await World.create();
    world.traffic(700);
    const result = await move(world, 1);
    world.traffic(2000);
    world.quiesce();
    expect(world.wrongs()).toEqual([]);
    expect(result.truth.difference(result.dirty)).toEqual(new Set());
    await world.close();
  });
});
