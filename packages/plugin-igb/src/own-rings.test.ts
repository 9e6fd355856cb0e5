import { type MmapArea, PCI_REGION } from "@vfmig/core";
import { describe, expect, it } from "vitest";
import { optionsSchema } from "./options.ts";
import { QUEUE, QUEUE_ENABLE, REGISTER } from "./registers/registers.ts";
import { read, write } from "./testing/guest-registers.ts";
import { facets } from "./testing/move.ts";
import { MAPPED, modeOf, quiet, startLog } from "./testing/own-rings.ts";
import { soundAfter } from "./testing/sound.ts";
import { PAGE, RAM_IOVA, World } from "./testing/world.ts";

const RX = REGISTER.RX_QUEUE;
const TX = REGISTER.TX_QUEUE;

function user(world: World) {
  const found = world.users[world.at];
  if (found === undefined) throw new Error("nobody maps the VF");
  return found;
}

function mapped(world: World): readonly MmapArea[] {
  return user(world).mapped(PCI_REGION.BAR0);
}

/** Accesses that came as messages, of the pages that a guest may have to itself. */
function messages(world: World): number {
  return [0x1000, 0x2000, 0x3000].reduce(
    (sum, page) => sum + user(world).messages(PCI_REGION.BAR0, page),
    0,
  );
}

/** The register of the device itself. */
function device(world: World, offset: number): number {
  return world.nic.vfs[world.at]?.registers[offset / 4] ?? 0;
}

async function dirtyPages(world: World): Promise<number> {
  const range = { iova: RAM_IOVA, size: BigInt(world.ram.length) };
  const bitmap = new Uint8Array(world.ram.length / PAGE / 8);
  await world.settle(facets(world.device).logging.report(range, PAGE, bitmap));
  return bitmap.reduce((sum, byte) => sum + byte.toString(2).replaceAll("0", "").length, 0);
}

describe("a user that maps the guest's own pages", () => {
  it("reaches the device past us, and only mailbox and statistics are messages", async () => {
    const world = await World.create(MAPPED);
    expect(mapped(world)).toEqual([{ offset: 0x1000, size: 0x3000 }]);
    const before = user(world).direct;
    await soundAfter(world);
    expect(user(world).direct).toBeGreaterThan(before);
    expect(messages(world)).toBe(0);
    expect(world.device.driverStatus()["trapped"]).toContainEqual({
      region: 0,
      offset: 0,
      size: 0x1000,
    });
  });

  it("lets go for as long as the device's writes are logged, and maps them again", async () => {
    const world = await World.create(MAPPED);
    world.traffic(20);
    await startLog(world);
    const { direct } = user(world);
    expect([mapped(world), modeOf(world)]).toEqual([[], "relay"]);
    await soundAfter(world);
    expect(user(world).direct).toBe(direct);
    expect(messages(world)).toBeGreaterThan(0);
    await world.settle(facets(world.device).logging.stop());
    await world.pass(40);
    expect([mapped(world).length, modeOf(world)]).toEqual([1, "direct"]);
    const before = messages(world);
    await soundAfter(world);
    expect(messages(world)).toBe(before);
  });

  it("is signalled by each of its vectors when the rings are changed, since one may be lost on the way", async () => {
    const world = await World.create(MAPPED);
    await world.pass(5);
    const { interrupts } = world.driver.counters;
    await startLog(world, quiet);
    await world.pass(1);
    expect(world.driver.counters.interrupts).toBeGreaterThanOrEqual(interrupts + 3);
    // The device's own vectors are all on, and clear and mask nothing but themselves.
    expect([REGISTER.EIAM, REGISTER.EIAC].map((offset) => device(world, offset))).toEqual([0, 7]);
  });

  it("that does not let go keeps its device, and is named; what is written counts as unknown", async () => {
    const world = await World.create(MAPPED);
    world.traffic(20);
    user(world).manners = "never";
    const { migration } = facets(world.device);
    await expect(world.settle(migration.setState("stop"))).rejects.toMatchObject({
      code: "ERR_VFMIG_TRAP_TIMEOUT",
    });
    expect([migration.state, modeOf(world)]).toEqual(["running", "direct"]);
    await startLog(world);
    expect(world.warnings.join()).toMatch(/all memory counts as written.*the VMM/u);
    expect(await dirtyPages(world)).toBe(world.ram.length / PAGE);
    await world.settle(facets(world.device).logging.stop());
    user(world).manners = "prompt";
    await soundAfter(world);
    expect(device(world, TX + QUEUE.CONTROL) & QUEUE_ENABLE).not.toBe(0);
    await world.settle(migration.setState("stop"));
    expect(modeOf(world)).toBe("relay");
    await world.settle(migration.setState("running"));
    await soundAfter(world);
  });
});

describe("a user that does not listen for new layouts", () => {
  it("is refused what needs its pages, and goes on", async () => {
    const world = await World.create({ ...MAPPED, maps: "deaf" });
    world.traffic(20);
    const { migration } = facets(world.device);
    await expect(world.settle(migration.setState("stop"))).rejects.toMatchObject({
      code: "ERR_VFMIG_MAPPING_CONFLICT",
    });
    expect(modeOf(world)).toBe("direct");
    await soundAfter(world);
  });
});

describe("options that contradict each other", () => {
  it.each([{ doorbells: "direct" }, { handBack: true }])("are refused: %j", (options) => {
    const { error } = optionsSchema.safeParse(options);
    expect(error?.issues[0]?.message).toMatch(/while-saving/u);
    expect(optionsSchema.parse({ ...options, shadow: "while-saving" })).toMatchObject(options);
  });
});

describe("queues that could not be relayed are refused by name, and the guest goes on as it was", () => {
  it.each([
    ["head write-back", TX + QUEUE.WRITE_BACK_LOW, 1, /head write-back/u],
    ["header split", RX + QUEUE.SRRCTL, 0x0a00_0002, /splits headers/u],
    ["buffers of the PF's length", RX + QUEUE.SRRCTL, 0x0200_0000, /SRRCTL 0/u],
    ["a ring out of reach", RX + QUEUE.BAH, 7, /reach/u],
    ["a tail outside the ring", RX + QUEUE.TAIL, 64, /tail 64/u],
  ])("%s", async (what, register, value, reason) => {
    const world = await World.create(MAPPED);
    world.traffic(20);
    world.clock.advance(1);
    const before = device(world, register);
    write(world, register, value);
    const { migration } = facets(world.device);
    const place = what.includes("tail");
    await expect(world.settle(migration.setState("stop"))).rejects.toMatchObject({
      code: place ? "ERR_VFMIG_VF_POSITION" : "ERR_VFMIG_VF_FEATURE",
      message: expect.stringMatching(reason) as string,
    });
    const description = await world.settle(world.device.description.describe());
    expect(JSON.stringify(description.uses)).toMatch(reason);
    const target = world.deviceAt(1).description;
    expect(await world.settle(target.compare(description))).toMatchObject([{ field: "queues" }]);
    expect([mapped(world).length, modeOf(world)]).toEqual([1, "direct"]);
    write(world, register, before);
    expect(await world.settle(target.compare(await world.device.description.describe()))).toEqual(
      [],
    );
    await soundAfter(world);
  });

  it("a second queue pair", async () => {
    const world = await World.create(MAPPED);
    write(world, RX + QUEUE.STRIDE + QUEUE.LEN, 1024);
    write(world, RX + QUEUE.STRIDE + QUEUE.CONTROL, QUEUE_ENABLE);
    await startLog(world);
    expect(world.warnings.join()).toMatch(/second queue pair/u);
    expect(modeOf(world)).toBe("direct");
    await soundAfter(world);
  });

  it("a tail in the middle of a packet", async () => {
    const world = await World.create(MAPPED);
    world.traffic(3);
    await world.pass(2);
    const tail = read(world, TX + QUEUE.TAIL);
    const at = read(world, TX + QUEUE.BAL) + 16 * tail;
    const data = new DataView(world.ram.buffer);
    data.setUint32(at + 4, 1, true);
    data.setUint32(at + 8, 0x2030_0040, true);
    write(world, TX + QUEUE.TAIL, tail + 1);
    await startLog(world);
    expect(world.warnings.join()).toMatch(/middle of a packet/u);
    expect(modeOf(world)).toBe("direct");
  });
});

describe("a device that is not as QEMU's", () => {
  it("is relayed from behind its last write-back where its heads run ahead of them", async () => {
    const world = await World.create({
      ...MAPPED,
      options: { ...MAPPED.options, quiesceMs: 0 },
    });
    const [vf] = world.nic.vfs;
    if (vf !== undefined) vf.lateWriteBacks = true;
    for (let round = 0; round < 20; round++) {
      world.traffic(round);
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await startLog(world);
      world.traffic(round % 5);
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await world.settle(facets(world.device).logging.stop());
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await world.pass(150);
      expect(modeOf(world)).toBe("direct");
    }
    expect(world.warnings).toEqual([]);
    await soundAfter(world);
  });

  it("has its guest told of frames that may come twice where it takes too long for its write-backs", async () => {
    const slow = { ...MAPPED.options, quiesceMs: 0, drainMs: 0 };
    const world = await World.create({ ...MAPPED, options: slow });
    const [vf] = world.nic.vfs;
    if (vf !== undefined) vf.lateWriteBacks = true;
    world.frame();
    await startLog(world, quiet);
    expect(world.warnings.join()).toMatch(/heads are ahead of its write-backs.*twice/u);
    expect(modeOf(world)).toBe("relay");
    world.frame();
    await world.settle(facets(world.device).migration.setState("stop"));
    expect(world.warnings.join()).toMatch(/frames were still with the device.*sent again/u);
    expect(world.warnings.join()).toMatch(/has begun buffers that it did not finish/u);
    if (vf !== undefined) vf.lateWriteBacks = false;
    await world.settle(facets(world.device).migration.setState("running"));
    const { taken } = world;
    world.traffic(60);
    expect(world.taken - taken).toBe(60);
  });

  it("has half a frame ended as a broken one, which its guest drops, and goes on behind it", async () => {
    const world = await World.create(MAPPED);
    world.traffic(20);
    await world.pass(2);
    const head = device(world, RX + QUEUE.HEAD);
    const slot = read(world, RX + QUEUE.BAL) + 16 * head;
    // One buffer is full, and the rest of the frame has not come.
    const first = [0, 0, 1, 2048];
    const data = new DataView(world.ram.buffer);
    for (const [at, dword] of first.entries()) data.setUint32(slot + 4 * at, dword, true);
    world.nic.vfs[0]?.registers.set([head + 1], (RX + QUEUE.HEAD) / 4);
    const { rxErrors } = world.driver.counters;
    await startLog(world, quiet);
    expect(modeOf(world)).toBe("relay");
    await soundAfter(world);
    expect(world.driver.counters.rxErrors).toBe(rxErrors + 1);
  });

  it("is given back later where frames are on their way at the first try", async () => {
    const world = await World.create({ ...MAPPED, options: { ...MAPPED.options, drainMs: 1 } });
    await startLog(world);
    const [vf] = world.nic.vfs;
    if (vf !== undefined) vf.lateWriteBacks = true;
    world.frame();
    await world.pass(1);
    await world.settle(facets(world.device).logging.stop());
    await world.pass(2);
    expect(modeOf(world)).toBe("relay");
    await world.pass(95);
    expect(modeOf(world)).toBe("relay");
    await world.pass(20);
    expect(modeOf(world)).toBe("direct");
    await soundAfter(world);
  });

  it("stays relayed where it takes no head but 0, until its driver begins anew", async () => {
    const world = await World.create(MAPPED);
    const [vf] = world.nic.vfs;
    if (vf !== undefined) vf.startsAtZero = true;
    world.traffic(33);
    await startLog(world);
    await world.settle(facets(world.device).logging.stop());
    await world.pass(100);
    expect([modeOf(world), world.warnings.length]).toEqual(["relay", 1]);
    expect(world.device.driverStatus()["switches"]).toMatchObject([
      { kind: "enter", outcome: "done" },
      { kind: "leave", outcome: "failed" },
    ]);
    await soundAfter(world);
    await world.settle(world.driver.resetFunction());
    expect(modeOf(world)).toBe("direct");
    await soundAfter(world);
  });
});

describe("offload contexts that nobody saw", () => {
  it("are found in the guest's ring, and given to the device again with the guest's next packets", async () => {
    const world = await World.create(MAPPED);
    const ring = read(world, TX + QUEUE.BAL);
    const data = new DataView(world.ram.buffer);
    const put = (slot: number, ...dwords: number[]): void => {
      for (const [at, dword] of dwords.entries())
        data.setUint32(ring + 16 * slot + 4 * at, dword, true);
    };
    put(0, 0x1234, 0, 0x2020_0000, 0x10);
    put(1, ring, 1, (0x2930_0000 | 60 | 0x0800_0000) >>> 0, (60 << 14) | 0x210);
    write(world, TX + QUEUE.TAIL, 2);
    await world.pass(2);
    expect(world.nic.vfs[0]?.contexts).toBe(1);
    await startLog(world, quiet);
    expect(world.nic.vfs[0]?.contexts).toBe(2);
    await world.settle(facets(world.device).logging.stop());
    put(0, 0, 0, 0, 0);
    await world.pass(20);
    await expect(
      world.settle(facets(world.device).migration.setState("stop")),
    ).rejects.toMatchObject({ message: expect.stringMatching(/offload context 1/u) as string });
    expect(modeOf(world)).toBe("direct");
  });
});

describe("without hand-back", () => {
  it("queues stay relayed until the guest's driver begins anew", async () => {
    const options = { shadow: "while-saving", doorbells: "direct" };
    const world = await World.create({ maps: true, options });
    await startLog(world);
    await world.settle(facets(world.device).logging.stop());
    await soundAfter(world);
    expect(modeOf(world)).toBe("relay");
    await world.settle(world.driver.resetFunction());
    expect(modeOf(world)).toBe("direct");
    const before = messages(world);
    await soundAfter(world);
    expect(messages(world)).toBe(before);
  });

  it("a queue that is off is not waited for where only the other one runs", async () => {
    const world = await World.create(MAPPED);
    world.traffic(20);
    await world.pass(2);
    write(world, TX + QUEUE.CONTROL, 0);
    const began = world.clock.now();
    await startLog(world, quiet);
    // What igbvf waits for a queue to come to rest, and turns of the clock.
    expect(world.clock.now() - began).toBeLessThan(20);
    expect(modeOf(world)).toBe("relay");
  });

  it("queues that the guest switches off are its own at once", async () => {
    const options = { shadow: "while-saving", doorbells: "direct" };
    const world = await World.create({ maps: true, options });
    await startLog(world);
    await world.settle(facets(world.device).logging.stop());
    write(world, TX + QUEUE.CONTROL, 0);
    expect(modeOf(world)).toBe("relay");
    write(world, RX + QUEUE.CONTROL, 0);
    expect(modeOf(world)).toBe("direct");
    expect(device(world, RX + QUEUE.BAL)).toBe(read(world, RX + QUEUE.BAL));
  });

  it("a VF that is off is the guest's at once", async () => {
    const world = await World.create({ ...MAPPED, start: false });
    const { migration } = facets(world.device);
    await world.settle(migration.setState("stop"));
    expect(modeOf(world)).toBe("relay");
    await world.settle(migration.setState("running"));
    expect(modeOf(world)).toBe("direct");
    await world.settle(world.driver.start());
    await soundAfter(world);
  });
});
