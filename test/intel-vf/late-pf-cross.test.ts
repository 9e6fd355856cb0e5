import { buildQueueSelect, VIRTCHNL_OP } from "@vfmig/iavf";
import type { SwitchWindow } from "@vfmig/iavf/vf";
import { describe, expect, test } from "vitest";
import { endWell } from "./rig/end.ts";
import { directDoorbells, untilMapped } from "./rig/doorbells.ts";
import { FAMILIES } from "./rig/family.ts";
import { LIMIT_MS, SlowPf, stranded, untilNoneStranded, writtenMeanwhile } from "./rig/late-pf.ts";
import { framesFlow, script, withLateStop } from "./rig/late-stop.ts";
import { facets } from "./rig/move.ts";
import { flow, pass, status, turn, under, untilDirect } from "./rig/shadow.ts";
import type { World } from "./rig/world.ts";

const { CONFIG_VSI_QUEUES, DISABLE_QUEUES, ENABLE_QUEUES } = VIRTCHNL_OP;
const LATE = LIMIT_MS + 10;
const IN_TIME = LIMIT_MS - 5;

/** A request of the guest's own about all its queues; its driver knows nothing of it. */
function askQueues(world: World, operation: number): Promise<unknown> {
  const { driver } = world;
  const bits = (1 << (driver.resources?.queuePairs ?? 1)) - 1;
  return driver.ask(operation, (vsiId) =>
    buildQueueSelect({ vsiId, rxQueues: bits, txQueues: bits }),
  );
}

/** Frames until a pair's first way back has come to its end. */
async function firstLeave(world: World): Promise<SwitchWindow> {
  for (let n = 0; n < 2000; n++) {
    const found = status(world).switches.find(({ kind }) => kind === "leave");
    if (found !== undefined) {
      return found;
    }
    // oxlint-disable-next-line no-await-in-loop -- traffic
    await flow(world, 8);
  }
  throw new Error("no pair has gone back");
}

/** Time until the PF was asked for `opcode` so often since `from`. */
async function untilAsked(pf: SlowPf, world: World, opcode: number, times: number): Promise<void> {
  const asked = (): number => pf.seen.filter((it) => it.opcode === opcode).length;
  const before = asked();
  for (let n = 0; n < 10_000 && asked() - before < times; n++) {
    // oxlint-disable-next-line no-await-in-loop -- traffic
    await flow(world, 8);
  }
  expect(asked() - before).toBe(times);
}

describe.each(FAMILIES)("$name", (family) => {
  describe.each(["always", "while-saving"] as const)("with shadow: %s", (shadow) => {
    test("queues that the PF starts late, with nobody who waits for it, send and receive nothing old", async () => {
      const pf = new SlowPf();
      const world = await withLateStop(family, pf, shadow);
      script(pf, { [ENABLE_QUEUES]: [LIMIT_MS * 2 + 20] });
      await untilAsked(pf, world, ENABLE_QUEUES, 1);
      // The second attempt comes after a pause, in which the first one is granted.
      await flow(world, 8 * 500);
      expect(stranded(world).attempts).toBeGreaterThan(0);
      await untilNoneStranded(world);
      await framesFlow(world);
      expect(world.wrongs()).toEqual([]);
      expect(world.driver.counters.resets).toBe(0);
      await world.close();
    });

    test("buffers that the guest posts while its queues stand still are not given to a device that was started late", async () => {
      const pf = new SlowPf();
      const world = await withLateStop(family, pf, shadow);
      world.driver.pause();
      for (let n = 0; n < 96; n++) {
        world.frame();
      }
      script(pf, { [ENABLE_QUEUES]: [LIMIT_MS * 2 + 20] });
      await untilAsked(pf, world, ENABLE_QUEUES, 1);
      await pass(world, LIMIT_MS + 5);
      world.driver.resume();
      await pass(world, 10);
      expect(stranded(world).attempts).toBe(1);
      await flow(world, 8 * 300);
      expect(stranded(world).attempts).toBe(1);
      await untilNoneStranded(world);
      await framesFlow(world);
      await endWell(world);
    });

    test("a stop that fails while queues are run again gives the device nothing old either", async () => {
      const pf = new SlowPf();
      const world = await withLateStop(family, pf, shadow);
      script(pf, { [ENABLE_QUEUES]: [LIMIT_MS * 2 + 20] });
      await untilAsked(pf, world, ENABLE_QUEUES, 1);
      await flow(world, 8 * 140);
      expect(stranded(world).attempts).toBe(1);
      script(pf, { [DISABLE_QUEUES]: [LATE, LATE, LATE] });
      const { migration } = facets(world.host.device);
      await expect(under(world, migration.setState("stop"))).rejects.toMatchObject({
        code: "ERR_VFMIG_PF_SILENT",
      });
      await flow(world, 8 * 40);
      await untilNoneStranded(world);
      await framesFlow(world);
      await endWell(world);
    });

    test("queues that their guest stops while they are run again stay stopped", async () => {
      const pf = new SlowPf();
      const world = await withLateStop(family, pf, shadow);
      let refused = 0;
      pf.refuses = (opcode) => opcode === CONFIG_VSI_QUEUES && refused++ === 0;
      // In the second attempt, which has more time. A driver sends 20 ms after it was asked to; what it
      // sends before the PF's answer to us would be done when we ask for more.
      script(pf, { [DISABLE_QUEUES]: [0, 2 * LIMIT_MS - 5, LATE] });
      await untilAsked(pf, world, DISABLE_QUEUES, 2);
      const stopped = askQueues(world, DISABLE_QUEUES);
      await world.settle(stopped);
      await pass(world, 500);
      expect(stranded(world).queues).toEqual([]);
      const contexts = world.host.model.truth.queueContexts();
      expect(contexts.filter((it) => it.rxEnabled)).toEqual([]);
      expect(contexts.filter((it) => it.txEnabled)).toEqual([]);
      await world.close();
    });

    test("a device that is stopped while queues are run again has none that runs", async () => {
      const pf = new SlowPf();
      const world = await withLateStop(family, pf, shadow);
      script(pf, { [DISABLE_QUEUES]: [IN_TIME] });
      await untilAsked(pf, world, DISABLE_QUEUES, 1);
      const { migration } = facets(world.host.device);
      await world.settle(migration.setState("stop"));
      expect(await writtenMeanwhile(world, 50)).toEqual([]);
      const contexts = world.host.model.truth.queueContexts();
      expect(contexts.some((it) => it.rxEnabled || it.txEnabled)).toBe(false);
      await world.settle(migration.setState("running"));
      await framesFlow(world);
      await endWell(world);
    });

    test("what the guest starts after the device was asked to stop waits for the device to run", async () => {
      const pf = new SlowPf();
      const world = await pf.create({ family, options: { shadow } });
      await flow(world, 400);
      const { migration } = facets(world.host.device);
      if (shadow === "while-saving") {
        await under(world, migration.setState("pre-copy"));
      }
      script(pf, { [DISABLE_QUEUES]: [IN_TIME] });
      const stop = migration.setState(shadow === "always" ? "stop" : "stop-copy");
      for (let n = 0; n < 50 && pf.seen.at(-1)?.opcode !== DISABLE_QUEUES; n++) {
        world.clock.advance(0.25);
        await turn();
      }
      const started = askQueues(world, ENABLE_QUEUES);
      started.catch(() => {});
      await world.settle(stop);
      expect(await writtenMeanwhile(world, 50)).toEqual([]);
      const contexts = world.host.model.truth.queueContexts();
      expect(contexts.some((it) => it.rxEnabled || it.txEnabled)).toBe(false);
      await world.close();
    });

    test("a device that the PF was too late to run is stopped before it is asked to run again", async () => {
      const pf = new SlowPf();
      const world = await pf.create({ family, options: { shadow } });
      await flow(world, 400);
      const { migration } = facets(world.host.device);
      await under(world, migration.setState("stop"));
      script(pf, { [ENABLE_QUEUES]: [LATE] });
      await expect(under(world, migration.setState("running"))).rejects.toMatchObject({
        code: "ERR_VFMIG_PF_SILENT",
      });
      expect(await writtenMeanwhile(world, 50)).toEqual([]);
      const { length } = pf.seen;
      await under(world, migration.setState("running"));
      const again = pf.seen.slice(length).map(({ opcode }) => opcode);
      expect(again.slice(0, 3)).toEqual([DISABLE_QUEUES, CONFIG_VSI_QUEUES, ENABLE_QUEUES]);
      await framesFlow(world);
      await endWell(world);
    });
  });

  describe("a hand-back that begins between a stop that was given up and its late answer", () => {
    const begin = async (pf: SlowPf, handBack: readonly number[]): Promise<World> => {
      const world = await pf.create({
        family,
        models: [{ queuePairs: 2, vectors: 3 }],
        driver: { queuePairs: 2, ringSize: 64 },
        options: { shadow: "while-saving", handBack: true, pfTimeoutMs: 100 },
      });
      await flow(world, 400);
      const { migration } = facets(world.host.device);
      await under(world, migration.setState("pre-copy"));
      script(pf, { [DISABLE_QUEUES]: [180, ...handBack] });
      await expect(under(world, migration.setState("pre-copy-p2p"))).rejects.toMatchObject({
        code: "ERR_VFMIG_PF_SILENT",
      });
      await under(world, migration.setState("running"));
      return world;
    };

    test("gets its own answer in time: its pair goes back once, the others are run again and go back later", async () => {
      const pf = new SlowPf();
      const world = await begin(pf, [0]);
      await untilAsked(pf, world, DISABLE_QUEUES, 1);
      const first = await firstLeave(world);
      await untilNoneStranded(world);
      // What went back in between is not fetched again.
      const { tx, rx } = status(world).modes[first.pair] ?? {};
      expect([tx, rx]).toContain(first.outcome === "done" ? "direct" : "relay");
      await untilDirect(world);
      await framesFlow(world);
      expect(world.wrongs()).toEqual([]);
      expect(world.driver.counters.resets).toBe(0);
      await world.close();
    });

    test.each([4, 5])(
      "and whose pair the PF then does not run again (%i refusals) has it run again at its place",
      async (refusals) => {
        const pf = new SlowPf();
        const world = await begin(pf, [0]);
        let times = refusals;
        pf.refuses = (opcode) => opcode === CONFIG_VSI_QUEUES && times-- > 0;
        await firstLeave(world);
        await flow(world, 8 * 100);
        await untilNoneStranded(world);
        await untilDirect(world);
        expect(times).toBeLessThan(0);
        await framesFlow(world);
        expect(world.wrongs()).toEqual([]);
        expect(world.driver.counters.resets).toBe(0);
        await world.close();
      },
    );

    test.each([[100.25], [150], [260]])(
      "gets its own answer late by then, too (%s ms): all are run again and go back",
      async (delayMs) => {
        const pf = new SlowPf();
        const world = await begin(pf, [delayMs]);
        await untilAsked(pf, world, DISABLE_QUEUES, 1);
        await flow(world, 8 * 1600);
        await untilNoneStranded(world);
        await untilDirect(world);
        await framesFlow(world);
        expect(world.wrongs()).toEqual([]);
        expect(world.driver.counters.resets).toBe(0);
        const { truth } = world.host.model;
        expect(truth.queueContexts().every((it) => it.rxEnabled && it.txEnabled)).toBe(true);
        await world.close();
      },
    );
  });

  test("A guest that has its queues' registers mapped again by the time of a late answer loses nothing", async () => {
    const pf = new SlowPf();
    const { mapping = "prompt", options } = directDoorbells({});
    const world = await pf.create({
      family,
      mapping,
      options: { ...options },
      driver: { queuePairs: 2, ringSize: 64 },
      models: [{ queuePairs: 2, vectors: 3 }],
    });
    await untilMapped(world);
    script(pf, { [DISABLE_QUEUES]: [600] });
    const { migration } = facets(world.host.device);
    await expect(under(world, migration.setState("pre-copy"))).rejects.toMatchObject({
      code: "ERR_VFMIG_PF_SILENT",
    });
    await untilMapped(world);
    expect(stranded(world).queues).toEqual([]);
    await flow(world, 8 * 3000);
    await untilNoneStranded(world);
    expect(status(world).switches.some(({ outcome }) => outcome === "done")).toBe(true);
    await untilDirect(world);
    await framesFlow(world);
    expect(world.wrongs()).toEqual([]);
    await world.close();
  });

  test("A hand-back leaves alone what is to be run again", async () => {
    const pf = new SlowPf();
    const world = await withLateStop(family, pf, "while-saving", true);
    script(pf, { [ENABLE_QUEUES]: [LIMIT_MS * 2 + 20] });
    await untilAsked(pf, world, ENABLE_QUEUES, 1);
    await pass(world, 30);
    expect(stranded(world)).toMatchObject({ attempts: 1 });
    const { length } = pf.seen;
    // In the pause between two attempts the guest is quiet, which is a hand-back's best moment.
    await pass(world, 150);
    expect(pf.seen.slice(length)).toEqual([]);
    await untilNoneStranded(world);
    await untilDirect(world);
    await framesFlow(world);
    expect(world.wrongs()).toEqual([]);
    await world.close();
  });
});
