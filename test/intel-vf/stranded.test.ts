import { VIRTCHNL_OP } from "@vfmig/iavf";
import { describe, expect, test } from "vitest";
import { FAMILIES } from "./rig/family.ts";
import { LIMIT_MS, SlowPf, stranded, untilNoneStranded } from "./rig/late-pf.ts";
import { framesFlow, script, untilReset, withLateStop } from "./rig/late-stop.ts";
import { facets } from "./rig/move.ts";
import { flow, modes, pass, status, under } from "./rig/shadow.ts";

const { CONFIG_VSI_QUEUES, DISABLE_QUEUES, ENABLE_QUEUES, RESET_VF } = VIRTCHNL_OP;
const QUEUE_OPERATIONS = new Set<number>([CONFIG_VSI_QUEUES, DISABLE_QUEUES, ENABLE_QUEUES]);
const SHADOW = ["always", "while-saving"] as const;

describe.each(FAMILIES)("$name", (family) => {
  describe.each(SHADOW)("queues that the PF stops after the stop was given up (%s)", (shadow) => {
    test("run again where the PF is late a second time, and each frame that was taken arrives once", async () => {
      const pf = new SlowPf();
      const world = await withLateStop(family, pf, shadow);
      const late = [LIMIT_MS + 30, LIMIT_MS + 30, LIMIT_MS + 2, LIMIT_MS + 2];
      pf.delay = (opcode) => (QUEUE_OPERATIONS.has(opcode) ? (late.shift() ?? 0) : 0);
      await flow(world, 8 * 40);
      expect(stranded(world)).toMatchObject({ doing: "running them again", resets: 0 });
      expect(stranded(world).queues.length).toBeGreaterThan(0);
      await untilNoneStranded(world);
      await framesFlow(world);
      expect(world.wrongs()).toEqual([]);
      expect(world.driver.counters.resets).toBe(0);
      expect(status(world).switches.at(-1)).toMatchObject({ kind: "enter", outcome: "done" });
      await world.close();
    });

    test.each([
      ["CONFIG_VSI_QUEUES", CONFIG_VSI_QUEUES],
      ["ENABLE_QUEUES", ENABLE_QUEUES],
    ] as const)(
      "run again where the PF refuses %s for a while, without a reset",
      async (_, refused) => {
        const pf = new SlowPf();
        const world = await withLateStop(family, pf, shadow);
        let times = 2;
        pf.refuses = (opcode) => opcode === refused && times-- > 0;
        await flow(world, 8 * 40);
        expect(stranded(world).attempts).toBeGreaterThan(0);
        await untilNoneStranded(world);
        await framesFlow(world);
        expect(world.wrongs()).toEqual([]);
        expect(world.driver.counters.resets).toBe(0);
        await world.close();
      },
    );

    test.each([
      ["CONFIG_VSI_QUEUES", CONFIG_VSI_QUEUES],
      ["ENABLE_QUEUES", ENABLE_QUEUES],
      ["DISABLE_QUEUES", DISABLE_QUEUES],
    ] as const)(
      "and that it refuses to run again (%s) end in a reset of which the guest is told",
      async (_, refused) => {
        const pf = new SlowPf();
        const world = await withLateStop(family, pf, shadow);
        pf.refuses = (opcode) => opcode === refused && world.driver.state === "running";
        await untilReset(world);
        expect(stranded(world)).toMatchObject({ queues: [], doing: "nothing", resets: 1 });
        expect(world.driver.counters.resets).toBe(1);
        await framesFlow(world);
        expect(world.faults).toEqual([]);
        await world.close();
      },
    );

    test("and that it refuses to run again end in a reset that the guest is told of before it comes", async () => {
      const pf = new SlowPf();
      const world = await withLateStop(family, pf, shadow);
      pf.refuses = (opcode) => opcode === CONFIG_VSI_QUEUES && world.driver.state === "running";
      script(pf, { [RESET_VF]: [LIMIT_MS] });
      for (let n = 0; n < 4000 && pf.seen.at(-1)?.opcode !== RESET_VF; n++) {
        // oxlint-disable-next-line no-await-in-loop -- traffic
        await flow(world, 8);
      }
      await pass(world, 5);
      expect(stranded(world).doing).toBe("resetting");
      expect(world.driver.state).toBe("resetting");
      expect(world.host.model.truth.queueContexts()).not.toEqual([]);
      await pass(world, 500);
      expect(world.driver.state).toBe("running");
      await framesFlow(world);
      await world.close();
    });

    test("and that it says nothing more of end in a reset of the function, and the guest comes up by itself", async () => {
      const pf = new SlowPf();
      const world = await withLateStop(family, pf, shadow);
      pf.delay = () => (world.driver.state === "running" ? 60_000 : 0);
      await untilReset(world);
      expect(stranded(world)).toMatchObject({ queues: [], doing: "nothing", resets: 1 });
      expect(world.driver.counters.resets).toBe(1);
      pf.delay = () => 0;
      await framesFlow(world);
      expect(world.faults).toEqual([]);
      await world.close();
    });

    test("are left alone once the guest resets its VF itself", async () => {
      const pf = new SlowPf();
      const world = await withLateStop(family, pf, shadow);
      pf.refuses = (opcode) => opcode === CONFIG_VSI_QUEUES && world.driver.state === "running";
      await flow(world, 8 * 30);
      expect(stranded(world).queues.length).toBeGreaterThan(0);
      await world.settle(world.driver.resetFunction());
      await pass(world, 2000);
      expect(stranded(world)).toMatchObject({ queues: [], doing: "nothing", resets: 0 });
      expect(world.driver.counters.resets).toBe(1);
      await framesFlow(world);
      await world.close();
    });

    test("are left alone once the device is stopped after all, and run when it runs", async () => {
      const pf = new SlowPf();
      const world = await withLateStop(family, pf, shadow);
      let refuses = true;
      pf.refuses = (opcode) => refuses && opcode === CONFIG_VSI_QUEUES;
      await flow(world, 8 * 30);
      expect(stranded(world).queues.length).toBeGreaterThan(0);
      refuses = shadow === "always";
      const { migration } = facets(world.host.device);
      await under(world, migration.setState("stop"));
      refuses = false;
      const { seen } = pf;
      const before = seen.length;
      await pass(world, 2000);
      expect({ asked: seen.length - before, ...stranded(world) }).toMatchObject({
        asked: 0,
        queues: [],
      });
      await under(world, migration.setState("running"));
      await framesFlow(world);
      expect(world.wrongs()).toEqual([]);
      expect(world.driver.counters.resets).toBe(0);
      await world.close();
    });

    test("are nobody's to run again once the device is closed", async () => {
      const pf = new SlowPf();
      const world = await withLateStop(family, pf, shadow);
      pf.refuses = (opcode) => opcode === CONFIG_VSI_QUEUES;
      await flow(world, 8 * 30);
      await world.close();
      const { length } = pf.seen;
      await pass(world, 2000);
      expect(pf.seen.length).toBe(length);
      expect(world.clock.waiting).toBe(0);
    });
  });

  test("A pair that the PF does not run on private rings is run again without anybody asking", async () => {
    const pf = new SlowPf();
    const world = await pf.create({ family, options: { shadow: "while-saving" } });
    await flow(world, 400);
    let times = 3;
    pf.refuses = (opcode) => opcode === CONFIG_VSI_QUEUES && times-- > 0;
    const { migration } = facets(world.host.device);
    await expect(under(world, migration.setState("stop"))).rejects.toMatchObject({
      code: "ERR_VFMIG_PF_REFUSED",
    });
    expect(modes(world)).toContain("held");
    await flow(world, 8 * 1000);
    expect(stranded(world)).toMatchObject({ queues: [], doing: "nothing", resets: 0 });
    await framesFlow(world);
    expect(world.wrongs()).toEqual([]);
    await world.close();
  });
});
