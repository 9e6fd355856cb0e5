import { describe, expect, it } from "vitest";
import type { IrqRequest } from "../device/irqs.ts";
import { IRQ_TYPE, type MmapArea } from "../device/info.ts";
import type { MappingNote } from "../device/vfio-device.ts";
import type { RegionFacet } from "../sub-driver/facets.ts";
import { codeOf, composed, migrationOf, type Composed } from "../testing/composed.ts";
import { FakeBase } from "../testing/fake-base.ts";
import { settle } from "../testing/fake-clock.ts";

const PAGE = 0x1000;
const area = { offset: PAGE, size: PAGE };

/** A facet that notes what reaches it. */
function noting(more: Partial<RegionFacet> = {}): RegionFacet & { readonly seen: string[] } {
  const seen: string[] = [];
  return {
    index: 0,
    adjustable: true,
    trapped: [{ offset: 0x10, size: 4 }],
    read: (offset, into) => void seen.push(`read ${offset}+${into.length}`),
    write: (offset, from) => void seen.push(`write ${offset}+${from.length}`),
    seen,
    ...more,
  };
}

function regionsOf({ sub }: Composed): NonNullable<typeof sub.context>["regions"] {
  if (sub.context === undefined) throw new Error("not attached");
  return sub.context.regions;
}

/** Sets the event of the layout irq; answers how often it came. */
function listen(it: Composed, onSignal: () => void = () => {}): { count: number } {
  const calls = { count: 0 };
  const signal = (): void => {
    calls.count += 1;
    onSignal();
  };
  it.device.setIrqs(layoutRequest(it, { kind: "event", events: [{ signal }] }));
  return calls;
}

function layoutRequest(it: Composed, data: IrqRequest["data"]): IrqRequest {
  const index = layoutIndex(it) ?? -1;
  return { index, start: 0, count: data.kind === "none" ? 0 : 1, action: "trigger", data };
}

function layoutIndex({ device }: Composed): number | undefined {
  return device.info.irqs.find(({ type }) => type?.subtype === IRQ_TYPE.LAYOUT.subtype)?.index;
}

function runtimeAreas({ device }: Composed): unknown {
  return device.info.regions[0]?.mmap?.areas;
}

describe("the layout irq", () => {
  it("follows the indexes of base and sub-driver, with its own type", async () => {
    const more = { count: 1, eventfd: true, maskable: false, automasked: false, noResize: false };
    const irqs = { irqs: [{ index: 5, ...more }], set: () => {} };
    const it = await composed({ regions: [noting()], irqs });
    expect(it.device.info.irqs.slice(5)).toEqual([
      { index: 5, ...more },
      { index: 6, ...more, type: IRQ_TYPE.LAYOUT },
    ]);
  });

  it("is there where saving has a layout of its own, and not where no layout changes", async () => {
    const mmap = { runtime: [area], saving: [] };
    const still = { ...noting(), adjustable: false };
    expect(layoutIndex(await composed({ regions: [{ ...still, mmap }] }))).toBe(5);
    expect(layoutIndex(await composed({ regions: [still] }))).toBeUndefined();
    expect(layoutIndex(await composed())).toBeUndefined();
  });

  it("fires when the layout in force changes, and only then", async () => {
    const mmap = { runtime: [area], saving: [] };
    const it = await composed({ regions: [noting({ mmap })] });
    const calls = listen(it);
    await migrationOf(it).setState("running-p2p");
    expect(calls.count).toBe(0);
    await migrationOf(it).setState("pre-copy");
    expect(calls.count).toBe(1);
    await migrationOf(it).setState("stop-copy");
    expect(calls.count).toBe(1);
    await it.device.reset();
    expect(calls.count).toBe(2);
  });

  it("obeys the rules of every index: fired by its user, disabled, no mask", async () => {
    const it = await composed({ regions: [noting()] });
    const calls = listen(it);
    const index = layoutIndex(it) ?? -1;
    const data = { kind: "none" } as const;
    it.device.setIrqs({ index, start: 0, count: 1, action: "trigger", data });
    expect(calls.count).toBe(1);
    expect(() => it.device.setIrqs({ index, start: 0, count: 1, action: "mask", data })).toThrow(
      expect.objectContaining({ code: "ERR_VFMIG_IRQ_REQUEST" }),
    );
    it.device.setIrqs(layoutRequest(it, data));
    await regionsOf(it).trap(0, [{ offset: PAGE, size: 4 }]);
    expect(calls.count).toBe(1);
    expect(it.base.irqRequests.filter((request) => request.index === index)).toEqual([]);
  });

  it("lets no sub-driver have an index that it takes", async () => {
    const more = { count: 1, eventfd: true, maskable: false, automasked: false, noResize: false };
    const irqs = { irqs: [{ index: 6, ...more }], set: () => {} };
    await expect(composed({ regions: [noting()], irqs })).rejects.toMatchObject({
      code: "ERR_VFMIG_SUB_DRIVER_ANSWER",
    });
  });
});

describe("trapping at run time", () => {
  it("brings accesses by message to the facet at once, and back to the base", async () => {
    const facet = noting();
    const it = await composed({ regions: [facet] });
    const access = (): void => it.device.writeRegion(0, PAGE + 8, new Uint8Array(4));
    access();
    const trapped = regionsOf(it).trap(0, [{ offset: PAGE + 8, size: 4 }]);
    access();
    await trapped;
    it.device.readRegion(0, PAGE + 4, new Uint8Array(12));
    regionsOf(it).untrap(0, [{ offset: PAGE + 8, size: 4 }]);
    access();
    expect(facet.seen).toEqual([`write ${PAGE + 8}+4`, `read ${PAGE + 8}+4`]);
    expect(it.base.calls.filter((call) => call.includes("Region"))).toEqual([
      `writeRegion 0:${PAGE + 8}+4`,
      `readRegion 0:${PAGE + 4}+4`,
      `readRegion 0:${PAGE + 12}+4`,
      `writeRegion 0:${PAGE + 8}+4`,
    ]);
  });

  it("takes whole pages out of both layouts, and gives them back", async () => {
    const it = await composed({ regions: [noting()] });
    const rest = { offset: PAGE, size: 3 * PAGE };
    expect(runtimeAreas(it)).toEqual([rest]);
    await regionsOf(it).trap(0, [{ offset: 2 * PAGE + 8, size: 1 }]);
    const narrower = [area, { offset: 3 * PAGE, size: PAGE }];
    expect(runtimeAreas(it)).toEqual(narrower);
    await migrationOf(it).setState("pre-copy");
    expect(runtimeAreas(it)).toEqual(narrower);
    regionsOf(it).untrap(0, [{ offset: 2 * PAGE + 8, size: 1 }]);
    expect(runtimeAreas(it)).toEqual([rest]);
  });

  it("keeps what only the saving layout lets a user map", async () => {
    const it = await composed({ regions: [noting({ mmap: { runtime: [], saving: [area] } })] });
    await regionsOf(it).trap(0, [{ offset: 3 * PAGE, size: 4 }]);
    expect(runtimeAreas(it)).toBeUndefined();
    await migrationOf(it).setState("pre-copy");
    expect(runtimeAreas(it)).toEqual([area]);
  });

  it("can leave nothing to map, and give it back", async () => {
    const it = await composed({ regions: [noting()] });
    await regionsOf(it).trap(0, [{ offset: 0, size: 4 * PAGE }]);
    expect(it.device.info.regions[0]?.mmap).toBeUndefined();
    regionsOf(it).untrap(0, [{ offset: PAGE, size: PAGE }]);
    expect(runtimeAreas(it)).toEqual([area]);
  });

  it("settles when whoever maps the pages has let go of them, and asks for it by the irq", async () => {
    const it = await composed({ regions: [noting()] });
    const note = it.device.noteMapping(0, { offset: PAGE, size: 2 * PAGE }, "a VMM");
    const calls = listen(it);
    let done = false;
    const trapped = regionsOf(it)
      .trap(0, [{ offset: PAGE, size: 4 }])
      .then(() => (done = true));
    await settle();
    expect([calls.count, done]).toEqual([1, false]);
    note.release?.({ offset: 2 * PAGE, size: PAGE });
    await settle();
    expect(done).toBe(false);
    note.release?.(area);
    await trapped;
    expect(it.clock.waiting).toBe(0);
  });

  it("is not in the way of saving while it waits, only those are whom saving itself excludes", async () => {
    const rest = { offset: 2 * PAGE, size: PAGE };
    const mmap = { runtime: [area, rest], saving: [area] };
    const it = await composed({ regions: [noting({ mmap })] });
    const note = it.device.noteMapping(0, area);
    listen(it);
    const trapped = regionsOf(it).trap(0, [{ offset: PAGE, size: 4 }]);
    const other = it.device.noteMapping(0, rest);
    expect(await codeOf(migrationOf(it).setState("pre-copy"))).toBe("ERR_VFMIG_MAPPING_CONFLICT");
    other[Symbol.dispose]();
    await migrationOf(it).setState("pre-copy");
    note[Symbol.dispose]();
    await trapped;
  });

  it("hands out no area of what it takes away while it waits", async () => {
    const it = await composed({ regions: [noting()] });
    const note = it.device.noteMapping(0, area);
    listen(it);
    const trapped = regionsOf(it).trap(0, [{ offset: PAGE, size: 4 }]);
    expect(() => it.device.noteMapping(0, area)).toThrow(
      expect.objectContaining({ code: "ERR_VFMIG_MAPPING_REFUSED" }),
    );
    note[Symbol.dispose]();
    await trapped;
  });

  it("is refused at once where a user that maps the pages does not listen, naming it", async () => {
    const facet = noting();
    const it = await composed({ regions: [facet] });
    it.device.noteMapping(0, area, "a VMM that knows nothing");
    await expect(regionsOf(it).trap(0, [{ offset: PAGE, size: 4 }])).rejects.toMatchObject({
      code: "ERR_VFMIG_MAPPING_CONFLICT",
      message: expect.stringMatching(/region 0 .* at 0x1000\+0x1000 by a VMM that knows nothing/u),
    });
    it.device.writeRegion(0, PAGE, new Uint8Array(4));
    expect(facet.seen).toEqual([]);
    expect(runtimeAreas(it)).toEqual([{ offset: PAGE, size: 3 * PAGE }]);
  });

  it("fails at the limit with everything as it was, and may be asked for again", async () => {
    const facet = noting();
    const it = await composed({ regions: [facet] });
    const note = it.device.noteMapping(0, area, "a slow VMM");
    const calls = listen(it);
    const trap = (): Promise<void> => regionsOf(it).trap(0, [{ offset: PAGE, size: 4 }]);
    const failed = trap().catch((error: unknown) => error);
    await it.clock.advance(4_999);
    it.device.writeRegion(0, PAGE, new Uint8Array(4));
    await it.clock.advance(1);
    expect(await failed).toMatchObject({
      code: "ERR_VFMIG_TRAP_TIMEOUT",
      message: expect.stringContaining("a slow VMM"),
    });
    it.device.writeRegion(0, PAGE, new Uint8Array(4));
    expect([facet.seen.length, calls.count]).toEqual([1, 2]);
    expect(runtimeAreas(it)).toEqual([{ offset: PAGE, size: 3 * PAGE }]);
    note[Symbol.dispose]();
    await trap();
    expect(runtimeAreas(it)).toEqual([{ offset: 2 * PAGE, size: 2 * PAGE }]);
  });

  it("ends with its signal, and with the device", async () => {
    const it = await composed({ regions: [noting()] });
    it.device.noteMapping(0, area);
    listen(it);
    const abort = new AbortController();
    const one = codeOf(regionsOf(it).trap(0, [{ offset: PAGE, size: 4 }], abort.signal));
    abort.abort(Object.assign(new Error("enough"), { code: "ENOUGH" }));
    expect(await one).toBe("ENOUGH");
    const two = codeOf(regionsOf(it).trap(0, [{ offset: PAGE, size: 4 }]));
    await settle();
    await it.device[Symbol.asyncDispose]();
    expect(await two).toBe("ERR_VFMIG_DEVICE_CLOSED");
  });

  it("keeps what an earlier call has trapped when a later one fails", async () => {
    const facet = noting();
    const it = await composed({ regions: [facet] });
    await regionsOf(it).trap(0, [{ offset: 2 * PAGE, size: 8 }]);
    it.device.noteMapping(0, area);
    listen(it);
    const both = [
      { offset: PAGE, size: 4 },
      { offset: 2 * PAGE + 4, size: 8 },
    ];
    const failed = codeOf(regionsOf(it).trap(0, both));
    await it.clock.advance(5_000);
    expect(await failed).toBe("ERR_VFMIG_TRAP_TIMEOUT");
    it.device.writeRegion(0, 2 * PAGE, new Uint8Array(8));
    it.device.writeRegion(0, 2 * PAGE + 8, new Uint8Array(4));
    expect(facet.seen).toEqual([`write ${2 * PAGE}+8`]);
  });

  it.each([
    ["a region without facet", 3, [{ offset: 0, size: 4 }], {}],
    ["no region", 99, [{ offset: 0, size: 4 }], {}],
    ["a facet that is not adjustable", 0, [{ offset: 0, size: 4 }], { adjustable: false }],
    ["ranges outside", 0, [{ offset: 4 * PAGE - 2, size: 4 }], {}],
    [
      "ranges in disorder",
      0,
      [
        { offset: 8, size: 4 },
        { offset: 0, size: 4 },
      ],
      {},
    ],
    ["no list", 0, null as unknown as [], {}],
  ])("is refused for %s", async (_, index, ranges, more) => {
    const it = await composed({ regions: [noting(more)] });
    expect(await codeOf(regionsOf(it).trap(index, ranges))).toBe("ERR_VFMIG_TRAP_REQUEST");
    expect(() => regionsOf(it).untrap(index, ranges)).toThrow("Nothing was changed");
  });

  it("is refused before the sub-driver is attached", async () => {
    const codes: string[] = [];
    await composed({
      regions: [noting()],
      attach: async ({ regions }) => {
        codes.push(await codeOf(regions.trap(0, [{ offset: 0, size: 4 }])));
      },
    });
    expect(codes).toEqual(["ERR_VFMIG_TRAP_REQUEST"]);
  });

  it("refuses to untrap what the facet traps itself, and what is still waited for", async () => {
    const it = await composed({ regions: [noting()] });
    expect(() => regionsOf(it).untrap(0, [{ offset: 0x10, size: 4 }])).toThrow(
      "0x10+0x4 was not trapped at run time",
    );
    const note = it.device.noteMapping(0, area);
    listen(it);
    const trapped = regionsOf(it).trap(0, [{ offset: PAGE, size: 4 }]);
    expect(() => regionsOf(it).untrap(0, [{ offset: PAGE + 2, size: 1 }])).toThrow(
      "still asked to let go",
    );
    note[Symbol.dispose]();
    await trapped;
  });

  it("may happen inside an arc, while the user waits for the state", async () => {
    const it = await composed({ regions: [noting()] });
    const note = it.device.noteMapping(0, area);
    listen(it, () => void Promise.resolve().then(() => note[Symbol.dispose]()));
    it.sub.duties.set("running->pre-copy", () =>
      regionsOf(it).trap(0, [{ offset: PAGE, size: 4 }]),
    );
    await migrationOf(it).setState("pre-copy");
    expect(runtimeAreas(it)).toEqual([{ offset: 2 * PAGE, size: 2 * PAGE }]);
  });
});

describe("ranges that a facet has trapped from the start", () => {
  const startsTrapped = [area, { offset: 3 * PAGE, size: PAGE }];

  it("can be mapped by nobody, and reach the facet, until they are untrapped", async () => {
    const facet = noting({ startsTrapped });
    const it = await composed({ regions: [facet] });
    const calls = listen(it);
    expect(runtimeAreas(it)).toEqual([{ offset: 2 * PAGE, size: PAGE }]);
    it.device.writeRegion(0, PAGE + 8, new Uint8Array(4));
    expect(facet.seen).toEqual([`write ${PAGE + 8}+4`]);
    regionsOf(it).untrap(0, startsTrapped);
    expect([calls.count, runtimeAreas(it)]).toEqual([1, [{ offset: PAGE, size: 3 * PAGE }]]);
    it.device.writeRegion(0, PAGE + 8, new Uint8Array(4));
    expect(facet.seen.length).toBe(1);
    await regionsOf(it).trap(0, [area]);
    expect(runtimeAreas(it)).toEqual([{ offset: 2 * PAGE, size: 2 * PAGE }]);
  });

  it("are trapped while the device is saved, too", async () => {
    const mmap = { runtime: [area], saving: [area] };
    const it = await composed({ regions: [noting({ startsTrapped, mmap })] });
    const calls = listen(it);
    await migrationOf(it).setState("pre-copy");
    expect([calls.count, runtimeAreas(it)]).toEqual([0, undefined]);
  });

  it.each([
    ["one that is not adjustable", { startsTrapped, adjustable: false }],
    ["ranges outside", { startsTrapped: [{ offset: 4 * PAGE - 2, size: 4 }] }],
  ])("are refused for %s", async (_, more) => {
    await expect(composed({ regions: [noting(more)] })).rejects.toMatchObject({
      code: "ERR_VFMIG_SUB_DRIVER_ANSWER",
      message: expect.stringContaining("startsTrapped"),
    });
  });
});

describe("a mapping that is in the way of saving", () => {
  const mmap = { runtime: [{ offset: 0, size: 2 * PAGE }], saving: [area] };

  it("is named with what is left of it and who has it, and no more once that is let go", async () => {
    const it = await composed({ regions: [noting({ mmap })] });
    const note = it.device.noteMapping(0, { offset: 0, size: 2 * PAGE }, "client 7");
    note.release?.({ offset: 0, size: 0x800 });
    await expect(migrationOf(it).setState("stop-copy")).rejects.toMatchObject({
      code: "ERR_VFMIG_MAPPING_CONFLICT",
      message: expect.stringContaining("region 0 is still mapped at 0x800+0x1800 by client 7"),
      details: { holder: "client 7", errno: "EBUSY" },
    });
    note.release?.({ offset: 0, size: PAGE });
    await migrationOf(it).setState("stop-copy");
  });

  it("can be known beforehand: the runtime layout says what remains", async () => {
    const it = await composed({ regions: [noting({ mmap })] });
    expect(it.device.info.regions[0]?.mmap?.saving).toEqual([area]);
    await migrationOf(it).setState("pre-copy");
    expect(it.device.info.regions[0]?.mmap?.saving).toBeUndefined();
  });

  it("that the base tracks too is let go of there as well", async () => {
    const below: string[] = [];
    class TrackingBase extends FakeBase {
      noteMapping(index: number, { offset }: MmapArea, holder?: string): MappingNote {
        below.push(`note ${index} ${offset} ${holder}`);
        return {
          release: (part) => void below.push(`release ${part.offset}`),
          [Symbol.dispose]: () => void below.push("dispose"),
        };
      }
    }
    const it = await composed({ regions: [noting({ mmap })] }, {}, new TrackingBase());
    const note = it.device.noteMapping(0, area, "me");
    note.release?.(area);
    note[Symbol.dispose]();
    expect(below).toEqual([`note 0 ${PAGE} me`, `release ${PAGE}`, "dispose"]);
  });
});
