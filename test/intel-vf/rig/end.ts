import { expect } from "vitest";
import type { World } from "./world.ts";

/** Ends a world in which each frame that was taken has arrived once, whole and in order. */
export async function endWell(world: World): Promise<void> {
  world.quiesce();
  expect(world.wrongs()).toEqual([]);
  await world.close();
}
