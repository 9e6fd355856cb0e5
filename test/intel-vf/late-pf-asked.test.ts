import { describe, expect, test } from "vitest";
import { FAMILIES } from "./rig/family.ts";
import { LIMIT_MS, SlowPf } from "./rig/late-pf.ts";
import { framesFlow } from "./rig/late-stop.ts";
import { flow } from "./rig/shadow.ts";

describe.each(FAMILIES)("$name", (family) => {
  test("A PF that was too late for our own questions answers those of the guest that comes next", async () => {
    const pf = new SlowPf();
    const world = await pf.create({ family, start: false, options: { resetMs: 200 } });
    pf.delay = () => LIMIT_MS + 5;
    const { description } = world.host.device;
    await expect(world.settle(description.describe())).rejects.toMatchObject({
      code: "ERR_VFMIG_PF_SILENT",
    });
    pf.delay = () => 0;
    await world.settle(world.driver.start());
    await flow(world, 64);
    await framesFlow(world);
    expect(world.wrongs()).toEqual([]);
    expect(world.driver.counters.resets).toBe(0);
    await world.close();
  });
});
