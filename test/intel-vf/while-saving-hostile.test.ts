import { PCI_REGION } from "@vfmig/core";
import { rxTail, TX_COMMAND, TX_DESCRIPTOR_SIZE, txTail, vectorControl } from "@vfmig/iavf";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FAMILIES } from "./rig/family.ts";
import { facets } from "./rig/move.ts";
import { flow, modes, startLog, turn, whileSaving } from "./rig/shadow.ts";
import { RAM_IOVA, World, type WorldOptions } from "./rig/world.ts";

const word = fc.oneof(
  fc.integer({ min: 0, max: 0xffff_ffff }),
  fc.integer({ min: 0, max: 600 }),
  fc.constantFrom(0, 0xffff_ffff, 0x1fff, 511, 512, 0x0f, 0x31, 0x0100_001d),
);
const register = fc.oneof(
  fc.integer({ min: 0, max: 3 }).map(txTail),
  fc.integer({ min: 0, max: 3 }).map(rxTail),
  fc.integer({ min: 0, max: 4 }).map(vectorControl),
  fc.integer({ min: 0, max: 0x8fff }),
);
const step = fc.record({
  kind: fc.constantFrom("write", "read", "ring", "time", "log", "stop"),
  at: register,
  value: word,
});

/** Rings of the guest, as its driver placed them: from the start of its memory. */
const RING_BYTES = 1 << 17;

describe.each(FAMILIES)("$name", (family) => {
  const create = (options: WorldOptions = {}): Promise<World> =>
    World.create(whileSaving({ family, models: [{}], ...options }));

  test("a hostile guest can write what it likes while its pairs change rings", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const world = await create({ options: { drainMs: 1, pfTimeoutMs: 10 } });
        const { device, ram } = world.host;
        await flow(world, 100);
        world.driver.pause();
        const { logging, migration } = facets(device);
        const bytes = new Uint8Array(4);
        const data = new DataView(bytes.buffer);
        const memory = new DataView(ram.buffer);
        let on = false;
        for (const { kind, at, value } of steps) {
          data.setUint32(0, value, true);
          if (kind === "write") {
            device.writeRegion(PCI_REGION.BAR0, at, bytes);
          } else if (kind === "read") {
            device.readRegion(PCI_REGION.BAR0, at, bytes);
          } else if (kind === "ring") {
            memory.setUint32((at * 16 + 8) % RING_BYTES, value, true);
          } else if (kind === "log") {
            const asked = on ? logging.stop() : logging.start({ pageSize: 4096, ranges: [] });
            asked.catch(() => {});
            on = !on;
          } else if (kind === "stop") {
            migration.setState(value % 2 === 0 ? "stop" : "running").catch(() => {});
          } else {
            world.clock.advance(value % 16);
          }
          await turn();
        }
        await world.settle(migration.setState("running").catch(() => {}));
        await world.settle(device.reset());
        await world.close();
      }),
      { numRuns: 20 },
    );
  }, 60_000);

  test("a guest whose frames ask for no report keeps its own rings, with the reason", async () => {
    const world = await create();
    await flow(world, 200);
    world.quiesce();
    const used = world.driver.indices.find(({ txNextToUse }) => txNextToUse > 0);
    const rings = world.host.model.truth.queueContexts();
    const ring = rings.find(({ queue }) => queue === used?.queue)?.txRing ?? 0;
    // As a driver that asks only now and then: the frame before the tail has EOP and no RS.
    const slot = ring - Number(RAM_IOVA) + ((used?.txNextToUse ?? 0) - 1) * TX_DESCRIPTOR_SIZE;
    const command = TX_COMMAND.EOP | TX_COMMAND.ICRC;
    new DataView(world.host.ram.buffer).setUint32(slot + 8, command, true);
    world.driver.pause();
    const { migration } = facets(world.host.device);
    await expect(world.settle(migration.setState("stop"))).rejects.toMatchObject({
      code: "ERR_VFMIG_VF_POSITION",
      message: expect.stringMatching(/Tx ring of queue . .* asks for no report/u),
    });
    expect(migration.state).toBe("running");
    expect(modes(world)).toEqual(new Set(["direct"]));
    await world.close();
  });

  test("a guest with its rings unmapped keeps them, and nothing of it is touched", async () => {
    const world = await create();
    await flow(world, 200);
    world.quiesce();
    world.driver.pause();
    const { device, ram } = world.host;
    await device.unmapDma({ iova: RAM_IOVA, size: BigInt(ram.length) });
    const { migration } = facets(device);
    await expect(world.settle(migration.setState("stop"))).rejects.toMatchObject({
      code: "ERR_VFMIG_VF_POSITION",
    });
    expect(modes(world)).toEqual(new Set(["direct"]));
    await world.close();
  });

  test("what the guest posts while its pair changes rings is not lost", async () => {
    const world = await create({ models: [{ pfReplyDelayMs: 4 }] });
    await flow(world, 300);
    await startLog(world);
    await flow(world, 300);
    world.quiesce();
    expect(world.wrongs()).toEqual([]);
    await world.close();
  });
});
