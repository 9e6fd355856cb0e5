import { expect } from "vitest";
import { move } from "./move.ts";
import { GUEST_MAC, type World } from "./world.ts";

/** Frames go both ways at once, and nothing that the guest got was ever wrong. */
export function soundNow(world: World, frames = 60): void {
  world.traffic(frames);
  world.collect();
  expect(world.wrongs()).toEqual([]);
}

/** As {@link soundNow}, with time for all that goes on by itself. */
export async function soundAfter(world: World): Promise<void> {
  await world.pass(30);
  world.traffic(60);
  await world.pass(5);
  world.collect();
  expect(world.wrongs()).toEqual([]);
}

/** Moves to and fro, at ten ring indices and more, and nothing is forgotten; `moved` looks at each end. */
export async function toAndFro(world: World, moved = async (): Promise<void> => {}): Promise<void> {
  const indices = new Set<string>();
  for (let round = 0; round < 12; round++) {
    world.traffic(5 + 7 * round);
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const { forgotten, ringIndices } = await move(world);
    expect(forgotten).toEqual([]);
    indices.add(JSON.stringify(ringIndices));
    // The address has gone with the guest: exactly one VF has it.
    expect(world.nic.pf.map(({ filter }) => filter === GUEST_MAC)).toEqual(
      [0, 1].map((vf) => vf === world.at),
    );
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await moved();
  }
  expect(indices.size).toBeGreaterThanOrEqual(10);
}
