import { VIRTCHNL_OP } from "@vfmig/iavf";
import { describe, expect, test } from "vitest";
import { type Family, FAMILIES } from "./rig/family.ts";
import { facets } from "./rig/move.ts";
import {
  flow,
  meddling,
  modes,
  pass,
  spoil,
  startLog,
  status,
  stopLog,
  turn,
  under,
  untilDirect,
  whileSaving,
} from "./rig/shadow.ts";
import { World, type WorldOptions } from "./rig/world.ts";

/** A PF that refuses the next `times` requests of kind `opcode`, once told. */
class Refusals {
  opcode = 0;
  times = 0;
  seen = 0;

  plugin(family: Family): Family["plugin"] {
    return meddling(family.plugin, (opcode, body) => {
      if (opcode === this.opcode && this.times > 0) {
        this.times--;
        this.seen++;
        spoil(body);
      }
    });
  }

  next(opcode: number, times: number): void {
    this.opcode = opcode;
    this.times = times;
    this.seen = 0;
  }
}

const STEPS = [
  ["DISABLE_QUEUES", VIRTCHNL_OP.DISABLE_QUEUES],
  ["CONFIG_VSI_QUEUES", VIRTCHNL_OP.CONFIG_VSI_QUEUES],
  ["ENABLE_QUEUES", VIRTCHNL_OP.ENABLE_QUEUES],
] as const;

describe.each(FAMILIES)("$name", (family) => {
  const create = (options: WorldOptions = {}): Promise<World> =>
    World.create(whileSaving({ family, ...options }));

  describe("a PF that refuses, while pairs go to private rings,", () => {
    test("to stop a pair leaves the guest on its own rings, and the save is refused", async () => {
      const refusals = new Refusals();
      const world = await create({ plugin: refusals.plugin(family) });
      await flow(world, 500);
      refusals.next(VIRTCHNL_OP.DISABLE_QUEUES, 1);
      const { migration } = facets(world.host.device);
      await expect(under(world, migration.setState("stop"))).rejects.toMatchObject({
        code: "ERR_VFMIG_PF_REFUSED",
      });
      expect(migration.state).toBe("running");
      const { missed } = world;
      await flow(world, 1000);
      world.quiesce();
      expect(modes(world)).toEqual(new Set(["direct"]));
      expect(status(world).switches.map(({ outcome }) => outcome)).toEqual(["refused"]);
      expect(world.missed).toBe(missed);
      expect(world.wrongs()).toEqual([]);
      await world.close();
    });

    test("to stop the last pair gives the others back", async () => {
      const refusals = new Refusals();
      const world = await create({ plugin: refusals.plugin(family) });
      await flow(world, 500);
      const { migration } = facets(world.host.device);
      const opened = migration.setState("pre-copy");
      for (let n = 0; n < 1000 && status(world).switches.length < 2; n++) {
        // oxlint-disable-next-line no-await-in-loop -- two pairs are over
        await flow(world, 8);
      }
      refusals.next(VIRTCHNL_OP.DISABLE_QUEUES, 1);
      await expect(under(world, opened)).rejects.toMatchObject({ code: "ERR_VFMIG_PF_REFUSED" });
      await untilDirect(world);
      await flow(world, 500);
      world.quiesce();
      expect(world.wrongs()).toEqual([]);
      await world.close();
    });

    test.each(STEPS.slice(1))(
      "%s once is asked again, and no frame is out of place",
      async (_, opcode) => {
        const refusals = new Refusals();
        const world = await create({ plugin: refusals.plugin(family) });
        await flow(world, 500);
        refusals.next(opcode, 1);
        await startLog(world);
        expect(refusals.seen).toBe(1);
        expect(modes(world)).toEqual(new Set(["relay"]));
        await flow(world, 1000);
        world.quiesce();
        expect(world.wrongs()).toEqual([]);
        await world.close();
      },
    );

    test("for good lets the pair stand still, says so, and takes it up again when it is asked to", async () => {
      const refusals = new Refusals();
      const world = await create({ plugin: refusals.plugin(family) });
      await flow(world, 500);
      refusals.next(VIRTCHNL_OP.CONFIG_VSI_QUEUES, 3);
      const { migration } = facets(world.host.device);
      await expect(under(world, migration.setState("stop"))).rejects.toMatchObject({
        code: "ERR_VFMIG_PF_REFUSED",
      });
      expect(modes(world)).toEqual(new Set(["held", "direct"]));
      expect(status(world).switches.at(-1)).toMatchObject({ kind: "enter", outcome: "failed" });
      await startLog(world);
      expect(modes(world)).toEqual(new Set(["relay"]));
      await flow(world, 1000);
      world.quiesce();
      expect(world.wrongs()).toEqual([]);
      await world.close();
    });
  });

  describe("a PF that says nothing", () => {
    test("at the stop leaves the guest on its own rings, and what it stops late goes on relayed", async () => {
      const world = await create({ options: { pfTimeoutMs: 20 } });
      await flow(world, 500);
      world.host.model.control.setReplyDelay(300);
      const { migration } = facets(world.host.device);
      await expect(under(world, migration.setState("pre-copy"))).rejects.toMatchObject({
        code: "ERR_VFMIG_PF_SILENT",
      });
      expect(modes(world)).toEqual(new Set(["direct"]));
      world.host.model.control.setReplyDelay(0);
      await flow(world, 12_000);
      world.quiesce();
      expect(status(world).switches.some(({ outcome }) => outcome === "done")).toBe(true);
      expect(world.wrongs()).toEqual([]);
      await world.close();
    });

    test("for the log makes all memory dirty, again and again", async () => {
      const world = await create({ options: { pfTimeoutMs: 20 } });
      await flow(world, 500);
      world.host.model.control.setReplyDelay(60_000);
      await startLog(world);
      const { logging } = facets(world.host.device);
      for (let n = 0; n < 2; n++) {
        const bitmap = new Uint8Array(32);
        const range = { iova: 0x1_0000_0000n, size: 1n << 20n };
        // oxlint-disable-next-line no-await-in-loop -- one report after the other
        await world.settle(logging.report(range, 4096, bitmap));
        expect(bitmap).toEqual(new Uint8Array(32).fill(0xff));
      }
      await flow(world, 500);
      world.quiesce();
      expect(world.wrongs()).toEqual([]);
      await world.close();
    });
  });

  describe("a PF that refuses, while pairs go back,", () => {
    test.each(STEPS)(
      "%s leaves the relay going on, and pairs go back another time",
      async (_, opcode) => {
        const refusals = new Refusals();
        const world = await create({ plugin: refusals.plugin(family) });
        await flow(world, 500);
        await startLog(world);
        await flow(world, 500);
        refusals.next(opcode, 2);
        await stopLog(world);
        await untilDirect(world);
        expect(refusals.seen).toBe(2);
        expect(status(world).switches.filter(({ outcome }) => outcome !== "done")).not.toEqual([]);
        await flow(world, 500);
        world.quiesce();
        expect(world.wrongs()).toEqual([]);
        await world.close();
      },
    );
  });

  test("a reset in the middle of a switch ends it, and the next guest starts afresh", async () => {
    for (const steps of [1, 2, 3, 5, 8]) {
      const world = await create({ models: [{ pfReplyDelayMs: 2 }] });
      await flow(world, 500);
      const { logging } = facets(world.host.device);
      const started = logging.start({ pageSize: 4096, ranges: [] });
      started.catch(() => {});
      for (let n = 0; n < steps; n++) {
        world.clock.advance(1);
        await turn();
      }
      world.host.model.control.resetVf(true);
      await world.settle(started);
      await pass(world, 4000);
      expect(world.faults).toEqual([]);
      expect(world.driver.counters.resets).toBe(1);
      expect(world.driver.linkUp).toBe(true);
      expect(modes(world)).toEqual(new Set(["relay"]));
      await stopLog(world);
      await untilDirect(world);
      await world.close();
    }
  });
});
