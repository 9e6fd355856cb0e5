import {
  attribute,
  type Attribution,
  type DriverMode,
  PCI_REGION,
  type Recording,
  type SubDriverDefinition,
  type VfioDevice,
} from "@vfmig/core";
import { beforeAll, describe, expect, it } from "vitest";
import { type Bugs, recordRun, replayRun } from "./lab.ts";

const FRAMES = 24;

/** The PCI status register, which a guest reads and no plugin takes over; 66 MHz means nothing here. */
const STATUS = 0x06;
const MHZ_66 = 0x20;

/** Something of which one member is another. */
function changed<T extends object>(whole: T, change: Partial<T>): T {
  return new Proxy(whole, {
    get(target, name) {
      const own = Reflect.get(change, name) as unknown;
      const value = own ?? (Reflect.get(target, name, target) as unknown);
      return typeof value === "function" ? (value as () => void).bind(target) : value;
    },
  });
}

/** Flips a bit of what a register tells. */
const flippedBit = (device: VfioDevice): VfioDevice =>
  changed(device, {
    readRegion(index, offset, into) {
      device.readRegion(index, offset, into);
      if (index === PCI_REGION.CONFIG && offset === STATUS) into[0] = (into[0] ?? 0) ^ MHZ_66;
    },
  });

/** Swallows what vector 1 tells. */
const lostInterrupts = (device: VfioDevice): VfioDevice =>
  changed(device, {
    setIrqs(request) {
      if (request.data.kind !== "event") return device.setIrqs(request);
      const events = request.data.events.map((event, i) =>
        event && request.start + i === 1 ? { signal() {} } : event,
      );
      device.setIrqs({ ...request, data: { kind: "event", events } });
    },
  });

/** A plugin that answers otherwise in what it takes over: the length of the mailbox's ring. */
const wrongAnswer = (definition: SubDriverDefinition): SubDriverDefinition => ({
  ...definition,
  async attach(context) {
    const attached = await definition.attach(context);
    const regions = attached.regions?.map((facet) =>
      changed(facet, {
        read(offset, into) {
          facet.read(offset, into);
          // VFGEN_RSTAT: the guest looks at the two low bits, and reads all of it.
          if (facet.index === PCI_REGION.BAR0 && offset === 0x8800) into[1] = (into[1] ?? 0) ^ 0x80;
        },
      }),
    );
    return regions === undefined ? attached : changed(attached, { regions });
  },
});

/** A plugin that changes what the device tells the guest in memory. */
const wrongMemory = (definition: SubDriverDefinition): SubDriverDefinition => ({
  ...definition,
  attach: (context) =>
    definition.attach({
      ...context,
      memory: {
        ...context.memory,
        span: context.memory.span.bind(context.memory),
        find: context.memory.find.bind(context.memory),
        read: context.memory.read.bind(context.memory),
        write(iova, from) {
          const bytes = from.slice();
          bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
          context.memory.write(iova, bytes);
        },
      },
    }),
});

describe("attribution of a device's bring-up and traffic", () => {
  let sound: Recording;
  const replays: Recording[] = [];

  beforeAll(async () => {
    const run = await recordRun("active", FRAMES);
    if (run.received !== FRAMES) throw new Error(`only ${run.received} frames came back`);
    sound = run.recording;
    for (const mode of ["base", "base", "transparent"] as const) {
      replays.push(await replayRun(sound, mode));
    }
  });

  /** Replays again only what a bug can change. */
  async function attributed(bugs: Bugs, recorded: Recording = sound): Promise<Attribution> {
    const [base, again, transparent] = replays;
    const sameBase = recorded === sound && bugs.base === undefined;
    const sameCore = sameBase && bugs.core === undefined;
    const replay = (mode: DriverMode): Promise<Recording> => replayRun(recorded, mode, bugs);
    return attribute({
      recorded,
      base: sameBase && base && again ? [base, again] : [await replay("base")],
      transparent: sameCore ? transparent : await replay("transparent"),
      active: await replay("active"),
    });
  }

  it("finds no difference where there is no bug", async () => {
    const result = await attributed({});
    expect(result.differences).toEqual([]);
    expect(result.layer).toBeUndefined();
    expect(result.steps).toBeGreaterThan(100);
  });

  it("lays a flipped bit of a register at the base's door", async () => {
    const result = await attributed({ base: flippedBit });
    expect(result).toMatchObject({
      layer: "base",
      difference: { kind: "read", place: "read of config+0x6, 2 bytes" },
    });
  });

  it("lays it at core's door where core flips it between base and plugin", async () => {
    const result = await attributed({ core: flippedBit });
    expect(result).toMatchObject({ layer: "core", difference: { kind: "read" } });
    const [recorded, base, transparent, active] = result.shown;
    expect(base?.shows).toBe(recorded?.shows);
    expect(transparent?.shows).toBe(active?.shows);
    expect(active?.shows).not.toBe(recorded?.shows);
  });

  it("lays interrupts that core swallows at core's door", async () => {
    const result = await attributed({ core: lostInterrupts });
    expect(result).toMatchObject({ layer: "core" });
    expect(result.differences.some(({ kind }) => kind === "interrupt")).toBe(true);
  });

  it.each([
    ["a wrong answer of a register", wrongAnswer, "read"],
    ["a changed message in the guest's memory", wrongMemory, "memory"],
  ])("lays %s at the plugin's door", async (_, plugin, kind) => {
    const result = await attributed({ plugin });
    expect(result).toMatchObject({ layer: "plugin:i40e-vf", difference: { kind } });
  });

  it("lays a bug that was recorded at the plugin's door, too", async () => {
    const { recording } = await recordRun("active", 4, { plugin: wrongAnswer });
    const result = await attributed({ plugin: wrongAnswer }, recording);
    expect(result).toMatchObject({ layer: "plugin:i40e-vf", difference: { kind: "read" } });
  });
});
