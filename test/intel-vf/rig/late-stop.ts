import { VIRTCHNL_OP } from "@vfmig/iavf";
import type { ShadowMode } from "@vfmig/iavf/vf";
import { expect } from "vitest";
import type { Family } from "./family.ts";
import { LIMIT_MS, type SlowPf } from "./late-pf.ts";
import { facets } from "./move.ts";
import { flow, pass, under } from "./shadow.ts";
import type { World } from "./world.ts";

const { DISABLE_QUEUES } = VIRTCHNL_OP;

/** Delays of the next requests of each kind, in milliseconds; none for those after. */
export function script(pf: SlowPf, delays: Readonly<Record<number, readonly number[]>>): void {
  const left = new Map(Object.entries(delays).map(([opcode, all]) => [Number(opcode), [...all]]));
  pf.delay = (opcode) => left.get(opcode)?.shift() ?? 0;
}

/** A world whose stop was given up just before its PF, late, does stop the queues. */
export async function withLateStop(
  family: Family,
  pf: SlowPf,
  shadow: ShadowMode,
  handBack = false,
): Promise<World> {
  const world = await pf.create({
    family,
    models: [{ queuePairs: 2, vectors: 3 }],
    driver: { queuePairs: 2 },
    options: { shadow, handBack },
  });
  await flow(world, 160);
  const { migration } = facets(world.host.device);
  if (shadow === "while-saving") {
    await under(world, migration.setState("pre-copy"));
  }
  script(pf, { [DISABLE_QUEUES]: [LIMIT_MS + 5] });
  const stop = migration.setState(shadow === "always" ? "stop" : "pre-copy-p2p");
  await expect(under(world, stop)).rejects.toMatchObject({ code: "ERR_VFMIG_PF_SILENT" });
  await under(world, migration.setState("running"));
  return world;
}

/** Frames until the guest's driver has reset its VF and runs again. */
export async function untilReset(world: World): Promise<void> {
  const { counters } = world.driver;
  for (let n = 0; n < 4000; n++) {
    // oxlint-disable-next-line no-await-in-loop -- time goes on
    await pass(world, 10);
    const { resets } = world.driver.counters;
    if (resets > counters.resets && world.driver.state === "running" && world.driver.linkUp) {
      return;
    }
  }
  throw new Error("the guest has not reset its VF");
}

export async function framesFlow(world: World): Promise<void> {
  const before = frames(world);
  await flow(world, 400);
  await pass(world, 50);
  world.quiesce();
  const after = frames(world);
  // Whatever the device was given was whole, also where it counts for nothing.
  const { maliciousEvents, dmaFaults } = world.host.model.truth;
  expect({ maliciousEvents, dmaFaults }).toEqual({ maliciousEvents: 0, dmaFaults: 0 });
  expect({ in: after.in - before.in, out: after.out - before.out }).toEqual({ in: 400, out: 400 });
}

function frames(world: World): { readonly in: number; readonly out: number } {
  world.quiesce();
  const sum = (ledger: World["inward"]): number =>
    ledger.snapshot().flows.reduce((all, { delivered }) => all + delivered, 0);
  return { in: sum(world.inward), out: sum(world.outward) };
}
