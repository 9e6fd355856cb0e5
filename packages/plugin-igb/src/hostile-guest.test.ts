import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { header, OPCODE } from "./mailbox/messages.ts";
import { MAILBOX, QUEUE, QUEUE_ENABLE, REGISTER } from "./registers/registers.ts";
import { read as readRegister, write as writeRegister } from "./testing/guest-registers.ts";
import { facets } from "./testing/move.ts";
import { World } from "./testing/world.ts";

const RX = REGISTER.RX_QUEUE;
const TX = REGISTER.TX_QUEUE;

/** A VF that no driver has touched, and registers for a ring that would do. */
async function bare(options: Readonly<Record<string, unknown>> = {}) {
  const world = await World.create({ start: false, options });
  const read = (offset: number): number => readRegister(world, offset);
  const write = (offset: number, value: number): void => writeRegister(world, offset, value);
  const ring = (at: number): void => {
    write(at + QUEUE.BAL, 0x1000);
    write(at + QUEUE.BAH, 1);
    write(at + QUEUE.LEN, 64 * 16);
    if (at === RX) write(RX + QUEUE.SRRCTL, 0x0200_0002);
  };
  const enabled = (at: number): boolean => {
    write(at + QUEUE.CONTROL, QUEUE_ENABLE);
    return (read(at + QUEUE.CONTROL) & QUEUE_ENABLE) !== 0;
  };
  return { world, read, write, ring, enabled };
}

describe("a queue that cannot be relayed does not come up, and the log says why", () => {
  it.each([
    ["a ring outside memory", RX + QUEUE.BAH, 7, RX, /reach/u],
    ["a ring of no length", TX + QUEUE.LEN, 0, TX, /descriptors/u],
    ["a ring that is too long", TX + QUEUE.LEN, 0xf_fff0, TX, /descriptors/u],
    ["head write-back", TX + QUEUE.WRITE_BACK_LOW, 1, TX, /head write-back/u],
    ["header split", RX + QUEUE.SRRCTL, 0x0a00_0002, RX, /splits headers/u],
    ["buffers of the PF's length", RX + QUEUE.SRRCTL, 0x0200_0000, RX, /SRRCTL 0/u],
    ["a head outside the ring", RX + QUEUE.HEAD, 64, RX, /head 64/u],
  ])("%s", async (_what, register, value, at, reason) => {
    const { world, ring, write, enabled } = await bare();
    ring(at);
    expect(enabled(at)).toBe(true);
    write(at + QUEUE.CONTROL, 0);
    write(register, value);
    expect(enabled(at)).toBe(false);
    expect(world.warnings.join()).toMatch(reason);
  });

  it("and the second pair is not there", async () => {
    const { world, read, write, enabled } = await bare();
    write(RX + QUEUE.STRIDE + QUEUE.BAL, 0x1000);
    expect(read(RX + QUEUE.STRIDE + QUEUE.BAL)).toBe(0);
    expect(enabled(RX + QUEUE.STRIDE)).toBe(false);
    expect(world.warnings.join()).toMatch(/second queue pair/u);
  });
});

describe("a buffer that nobody can reach", () => {
  it("keeps its queue waiting there, and the log says where", async () => {
    const { world, read, write, ring, enabled } = await bare();
    ring(TX);
    expect(enabled(TX)).toBe(true);
    const data = new DataView(world.ram.buffer);
    data.setUint32(0x1000, 0xdead_0000, true);
    data.setUint32(0x1004, 7, true);
    data.setUint32(0x1008, 0x2b30_0040, true);
    write(TX + QUEUE.TAIL, 1);
    await world.pass(2);
    expect(world.warnings.join()).toMatch(/relay of the transmit queue waits: buffer-unreachable/u);
    expect(world.warnings.join()).toContain(String(0x7_dead_0000));
    expect([read(TX + QUEUE.HEAD), read(TX + QUEUE.TAIL)]).toEqual([0, 1]);
  });
});

describe("a guest that asks without having reset its VF", () => {
  it("is refused by us, and its PF hears nothing", async () => {
    const { world, read, write } = await bare();
    write(REGISTER.V2PMAILBOX, MAILBOX.VFU);
    expect(read(REGISTER.V2PMAILBOX)).toBe(MAILBOX.VFU);
    write(REGISTER.VMBMEM, OPCODE.SET_LPE);
    write(REGISTER.V2PMAILBOX, MAILBOX.REQ);
    await world.settle(Promise.resolve());
    expect(read(REGISTER.V2PMAILBOX)).toBe(MAILBOX.PFACK | MAILBOX.PFSTS);
    expect(read(REGISTER.VMBMEM)).toBe((OPCODE.SET_LPE | 0x4000_0000) >>> 0);
    expect(world.nic.pf[0]?.maxFrame).toBeUndefined();
  });
});

describe("a guest that writes anything anywhere", () => {
  const word = fc.integer({ min: 0, max: 0xffff_ffff });
  const offset = fc.oneof(
    fc.integer({ min: 0, max: 0xfff }).map((dword) => dword * 4),
    fc.constantFrom(
      ...[RX, TX].flatMap((at) =>
        [QUEUE.BAL, QUEUE.BAH, QUEUE.LEN, QUEUE.HEAD, QUEUE.TAIL, QUEUE.CONTROL].map(
          (register) => at + register,
        ),
      ),
      REGISTER.V2PMAILBOX,
      REGISTER.VMBMEM,
      REGISTER.EIMS,
    ),
  );
  const value = fc.oneof(
    word,
    fc.constantFrom(0, 1, 0x40, 0x400, 0x1000, QUEUE_ENABLE, 0x0200_0002, header(1)),
  );
  const writes = fc.array(fc.tuple(offset, value), { maxLength: 60 });

  it("gets no error, and its VF can still be stopped, saved and reset", async () => {
    await fc.assert(
      fc.asyncProperty(writes, async (all) => {
        const { world, read, write } = await bare();
        for (const [at, what] of all) {
          write(at, what);
          read(at);
          world.clock.advance(0.1);
        }
        const { migration } = facets(world.device);
        await world.settle(migration.setState("stop"));
        await world.settle(migration.setState("stop-copy"));
        const into = new Uint8Array(65_536);
        const length = await world.settle(migration.readData(into));
        expect(length).toBeGreaterThan(0);
        await world.settle(world.device.reset());
        expect(read(RX + QUEUE.CONTROL)).toBe(0);
      }),
      { numRuns: 40 },
    );
  });

  it.each(["trapped", "direct"])(
    "into a device that it has to itself (%s) either can be saved or is refused, and can be reset",
    async (doorbells) => {
      await fc.assert(
        fc.asyncProperty(writes, async (all) => {
          const options = { shadow: "while-saving", doorbells, handBack: true };
          const { world, read, write } = await bare(options);
          for (const [at, what] of all) {
            try {
              write(at, what);
            } catch (error) {
              // The card's own, of an address that an IOMMU would refuse it.
              expect(error).toMatchObject({ layer: "base" });
            }
            world.clock.advance(0.1);
          }
          const { migration } = facets(world.device);
          let refusal: unknown;
          await world.settle(
            migration.setState("stop").catch((error: unknown) => void (refusal = error)),
          );
          expect(migration.state).toBe(refusal === undefined ? "stop" : "running");
          if (refusal !== undefined) {
            expect(refusal).toMatchObject({
              code: expect.stringMatching(/^ERR_VFMIG_VF_(?:POSITION|FEATURE)$/u) as string,
            });
          }
          await world.settle(world.device.reset());
          expect(read(RX + QUEUE.CONTROL) & QUEUE_ENABLE).toBe(0);
          expect(world.device.driverStatus()["modes"]).toMatchObject([{ tx: "direct" }]);
        }),
        { numRuns: 40 },
      );
    },
  );
});
