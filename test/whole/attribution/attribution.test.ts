import { attribute, type Attribution, type DriverMode, type Recording } from "@vfmig/core";
import { beforeAll, describe, expect, it } from "vitest";
import { flippedBit, otherCapability, lostInterrupts, wrongAnswer, wrongMemory } from "./bugs.ts";
import { type Lab, recordRun, replayRun } from "./lab.ts";

const FRAMES = 12;

/** Replays what `lab` changes, and takes the rest from sound replays. */
async function attributed(
  recorded: Recording,
  lab: Lab,
  sound?: ReadonlyMap<DriverMode, Recording>,
): Promise<Attribution> {
  const replay = async (mode: DriverMode, changes: boolean): Promise<Recording> =>
    (changes ? undefined : sound?.get(mode)) ?? (await replayRun(recorded, lab, mode));
  const base = await replay("base", lab.base !== undefined);
  return attribute({
    recorded,
    base: [base, lab.base === undefined ? await replayRun(recorded, lab, "base") : base],
    transparent: await replay("transparent", (lab.base ?? lab.core) !== undefined),
    active: await replay("active", true),
  });
}

describe.each(["i40e", "e810"] as const)("attribution of a run of %s", (kind) => {
  let recorded: Recording;
  const sound = new Map<DriverMode, Recording>();

  beforeAll(async () => {
    const run = await recordRun({ kind }, "active", FRAMES);
    if (run.received !== FRAMES) throw new Error(`only ${run.received} frames came back`);
    recorded = run.recording;
    for (const mode of ["base", "transparent"] as const) {
      sound.set(mode, await replayRun(recorded, { kind }, mode));
    }
  });

  it("finds no difference where there is no bug, from bring-up to removal, though no wire brings the frames", async () => {
    const result = await attributed(recorded, { kind }, sound);
    expect(result.differences).toEqual([]);
    expect(result).toMatchObject({ layer: undefined, unreproduced: undefined, inputGiven: true });
    expect(result.steps).toBeGreaterThan(100);
  });

  it("lists what the plugin hides on purpose apart from differences", async () => {
    const { intended } = await attributed(recorded, { kind }, sound);
    expect(intended.map(({ why }) => why)).toContain(
      "the VF's capabilities: what cannot be carried is hidden",
    );
  });

  it("lays a capability that is changed without saying so at the plugin's door", async () => {
    const result = await attributed(recorded, { kind, plugin: otherCapability }, sound);
    expect(result).toMatchObject({ layer: `plugin:${kind}-vf`, difference: { kind: "memory" } });
  });

  it("lays a flipped bit of a register at the base's door", async () => {
    const result = await attributed(recorded, { kind, base: flippedBit }, sound);
    expect(result).toMatchObject({
      layer: "base",
      difference: { kind: "read", place: "read of config+0x6, 2 bytes" },
    });
  });

  it("lays it at core's door where core flips it between base and plugin", async () => {
    const result = await attributed(recorded, { kind, core: flippedBit }, sound);
    expect(result).toMatchObject({ layer: "core", difference: { kind: "read" } });
    const [record, base, transparent, active] = result.shown;
    expect(base?.shows).toBe(record?.shows);
    expect(transparent?.shows).toBe(active?.shows);
    expect(active?.shows).not.toBe(record?.shows);
  });

  it("lays interrupts that core swallows at core's door", async () => {
    const result = await attributed(recorded, { kind, core: lostInterrupts }, sound);
    expect(result).toMatchObject({ layer: "core" });
    expect(result.differences.some((found) => found.kind === "interrupt")).toBe(true);
  });

  it.each([
    ["a wrong answer of a register", wrongAnswer, "read"],
    ["a changed message in the guest's memory", wrongMemory, "memory"],
  ])("lays %s at the plugin's door", async (_, plugin, what) => {
    const result = await attributed(recorded, { kind, plugin }, sound);
    expect(result).toMatchObject({ layer: `plugin:${kind}-vf`, difference: { kind: what } });
  });

  it("lays a bug that was recorded at the plugin's door, too", async () => {
    const lab = { kind, plugin: wrongAnswer };
    const { recording } = await recordRun(lab, "active", 2);
    const result = await attributed(recording, lab);
    expect(result).toMatchObject({ layer: `plugin:${kind}-vf`, difference: { kind: "read" } });
  });
});

describe("attribution where nobody can tell which frames arrived", () => {
  const blind: Lab = { kind: "i40e", blind: true };
  let recorded: Recording;
  let without: Recording;

  beforeAll(async () => {
    ({ recording: recorded } = await recordRun(blind, "active", FRAMES));
    ({ recording: without } = await recordRun(blind, "active", 0));
  });

  it("blames nobody for a frame that no replay has", async () => {
    const result = await attributed(recorded, blind);
    expect(result).toMatchObject({
      layer: undefined,
      difference: undefined,
      inputGiven: false,
      unreproduced: { kind: "memory", right: "not written" },
    });
    expect(result.shown.map(({ run }) => run)).toEqual([
      "recorded",
      "base",
      "transparent",
      "active",
    ]);
  });

  it("finds no difference where no frame arrived", async () => {
    const result = await attributed(without, blind);
    expect(result).toMatchObject({ layer: undefined, unreproduced: undefined, differences: [] });
  });

  it("still finds what differs before the first frame", async () => {
    const plugin = await attributed(recorded, { ...blind, plugin: wrongAnswer });
    expect(plugin.layer).toBe("plugin:i40e-vf");
    const base = await attributed(recorded, { ...blind, base: flippedBit });
    expect(base.layer).toBe("base");
  });
});
