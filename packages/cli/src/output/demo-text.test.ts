import type { FlowReport, MoveReport, ScenarioReport, ServedDevice } from "@vfmig/core";
import { describe, expect, it } from "vitest";
import { demoJson } from "./demo-json.ts";
import { demoText } from "./demo-text.ts";
import { percentile } from "./numbers.ts";

const flow = (part: Partial<FlowReport>): FlowReport => ({
  direction: "toGuest",
  flow: "udp4 a > b",
  sent: 100,
  delivered: 97,
  duringBlackout: 3,
  duringSwitch: 0,
  lost: 0,
  duplicated: 0,
  reordered: 0,
  corrupted: 0,
  ...part,
});

const served = {
  name: "source",
  identity: {
    device: "source",
    base: { name: "model", version: "0.1.0" },
    driver: { name: "i40e-vf", version: "0.1.0", integrity: "sha512-abc", privileges: [] },
  },
} as unknown as ServedDevice;

const move = (part: Partial<MoveReport>): MoveReport => ({
  from: "source",
  to: "target",
  stopToRunMs: 7.5,
  phases: { stop: 1, load: 6.5 },
  stateBytes: 2000,
  dirtyPages: 40,
  dirty: { reported: 40, changed: 16, extra: 24, ratio: 2.5, forgotten: 0 },
  copiedPages: 50,
  framesDuringBlackout: 3,
  ringIndices: [{ queue: 0, tx: 17, rx: 400 }],
  ...part,
});

const report = (
  flows: readonly FlowReport[],
  moves: readonly MoveReport[] = [move({})],
): ScenarioReport => ({
  moves,
  switches: [],
  flows,
  seconds: 3,
  refusals: { "no-descriptor": 2 },
  heldMs: 0,
  driverStatus: {
    trapped: [
      { region: 0, offset: 0x2000, size: 0x2000 },
      { region: 7, offset: 4, size: 2 },
    ],
  },
});

describe("the report of a demo", () => {
  it("sums frames over the flows of both directions", () => {
    const flows = [flow({}), flow({ direction: "fromGuest", sent: 50, delivered: 49, lost: 1 })];
    const json = demoJson([served], report(flows), { seed: 1, rate: 5000 });
    expect(json.frames).toMatchObject({ toGuest: 97, fromGuest: 49, duringBlackout: 6, lost: 1 });
    expect(json.migration.stopToRunMs).toEqual([7.5]);
    expect(json.driver).toMatchObject({ name: "i40e-vf", integrity: "sha512-abc" });
  });

  it("reports a device without driver under the name of its base", () => {
    const alone = {
      ...served,
      identity: { ...served.identity, driver: undefined },
    } as unknown as ServedDevice;
    const json = demoJson([alone], report([flow({})]), { seed: 1, rate: 5000 });
    expect(json.driver).toMatchObject({ name: "model", integrity: null });
  });

  it("tells a person what was lost", () => {
    const flows = [flow({ lost: 2, delivered: 95, corrupted: 1 })];
    const text = demoText(demoJson([served], report(flows), { seed: 1, rate: 5000 }));
    expect(text).toContain("FAILED: 2 lost, 0 duplicated, 0 reordered, 1 corrupted.");
    expect(text).toContain("2 frames found no free buffer");
  });

  it("says how long the sender waited for a guest that did not keep up, where it did", () => {
    const run = { seed: 1, rate: 5000 };
    const late = { ...report([flow({})]), heldMs: 1234.5 };
    expect(demoJson([served], late, run).frames.heldMs).toBe(1234.5);
    expect(demoText(demoJson([served], late, run))).toContain(
      "held frames back for 1,235 ms of 3 s",
    );
    expect(demoText(demoJson([served], report([flow({})]), run))).not.toContain("held");
  });

  it("names the driver, what was trapped, the phases and the ring indices", () => {
    const text = demoText(demoJson([served], report([flow({})]), { seed: 1, rate: 5000 }));
    for (const part of [
      "i40e-vf 0.1.0",
      "BAR0 2000-3FFF, config 04-05",
      "stop 1.00, load 6.50",
      "rx index at the stop: 400",
    ]) {
      expect(text).toContain(part);
    }
  });

  it("says how many dirty pages were more than needed: of each move, in the middle and at worst", () => {
    const dirty = { reported: 90, changed: 20, extra: 70, ratio: 4.5, forgotten: 0 };
    const none = { reported: 9, changed: 0, extra: 9, ratio: null, forgotten: 0 };
    const moves = [move({}), move({ dirty }), move({ dirty: none })];
    const json = demoJson([served], report([flow({})], moves), { seed: 1, rate: 5000 });
    expect(json.migration.dirty).toEqual(moves.map((each) => each.dirty));
    expect(json.dirty).toEqual({
      reported: { median: 40, worst: 90 },
      changed: { median: 16, worst: 20 },
      extra: { median: 24, worst: 70 },
      ratio: { median: 2.5, worst: 4.5 },
      forgotten: 0,
    });
    expect(demoText(json)).toContain(
      "16 had changed and 24 were more than needed: 2.5 times as many (worst 4.5); none forgotten",
    );
  });

  it("has no figure for the log where nothing was moved, and no ratio where nothing changed", () => {
    const dirty = { reported: 9, changed: 0, extra: 9, ratio: null, forgotten: 0 };
    const run = { seed: 1, rate: 5000 };
    expect(demoJson([served], report([flow({})], []), run).dirty).toBeNull();
    const json = demoJson([served], report([flow({})], [move({ dirty })]), run);
    expect(json.dirty?.ratio).toBeNull();
    expect(demoText(json)).toContain("9 were more than needed; none forgotten");
  });

  it("fails where a page changed that nobody named", () => {
    const dirty = { reported: 9, changed: 3, extra: 6, ratio: 3, forgotten: 2 };
    const json = demoJson([served], report([flow({})], [move({ dirty })]), { seed: 1, rate: 5000 });
    expect(demoText(json)).toContain("FAILED: 2 pages changed");
  });

  it("takes percentiles by nearest rank", () => {
    expect(percentile([5, 1, 3], 0.5)).toBe(3);
    expect(percentile([5, 1, 3], 0.99)).toBe(5);
    expect(percentile([], 0.5)).toBeNaN();
  });
});
