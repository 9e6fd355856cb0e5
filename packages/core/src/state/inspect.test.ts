import { describe, expect, it } from "vitest";
import { forge, format, records, save, slices } from "../../fixtures/device-state.ts";
import type { DeviceDescription } from "../sub-driver/description.ts";
import { header } from "../../fixtures/device-state.ts";
import { compareDescriptions } from "./compare-descriptions.ts";
import { dryRun } from "./dry-run.ts";
import { inspectState } from "./inspect.ts";
import { renderState } from "./render-state.ts";

const source = header.description;

function target(change: Partial<DeviceDescription> = {}): DeviceDescription {
  return { ...source, uses: {}, ...change };
}

const driver = { name: "i40e-vf", state: format };

describe("inspection of a device state", () => {
  it("shows every record and field without the plugin, as plain JSON", async () => {
    const tree = inspectState(await save());
    expect(JSON.parse(JSON.stringify(tree))).toEqual(tree);
    expect(tree).toMatchObject({ sound: true, driver: header.driver, stateVersion: 2 });
    expect(tree.records.map((record) => record.name ?? record.type)).toEqual([
      "header",
      16,
      17,
      16,
      "end",
    ]);
    expect(tree.records[3]?.content).toEqual({
      name: "type 16",
      kind: "map",
      children: [
        { name: "ring", kind: "number", value: "1152921504606846976" },
        { name: "tail", kind: "number", value: 7 },
        { name: "index", kind: "number", value: 1 },
        { name: "slots", kind: "bytes", value: "" },
      ],
    });
    expect(tree.records.map((record) => record.replaced)).toEqual([
      false,
      true,
      false,
      false,
      false,
    ]);
  });

  it("names types and describes fields with the plugin", async () => {
    const tree = inspectState(await save(), format);
    const queue = tree.records[1];
    expect(queue?.name).toBe("queue");
    expect(queue?.content?.children?.find(({ name }) => name === "ring")).toEqual({
      name: "ring",
      kind: "number",
      value: 0x1_0000_0000,
      description: "guest address of the ring",
    });
    const text = renderState(tree);
    expect(text).toContain("record 1: queue (type 16, mandatory, replaced by a later one)");
    expect(text).toContain("ring: 4294967296 (0x100000000)  (guest address of the ring)");
    expect(text).toContain("slots: 3 bytes 010203");
    expect(text.endsWith("\nsound\n")).toBe(true);
  });

  it("shows what a damaged stream still holds, and why it stops there", async () => {
    const bytes = await save();
    const tree = inspectState(bytes.subarray(0, bytes.length - 1), format);
    expect(tree.records).toHaveLength(4);
    expect(tree.sound).toBe(false);
    expect(tree.stopped?.code).toBe("ERR_VFMIG_STATE_TRUNCATED");
    expect(renderState(tree)).toMatch(
      /stopped: ERR_VFMIG_STATE_TRUNCATED: .*record 4[^]*NOT SOUND/u,
    );
  });

  it("goes on behind a record whose payload or value is wrong", async () => {
    const bytes = await save();
    const all = slices(bytes).map((part, i) =>
      i === 1 ? { ...part, payload: part.payload.map(() => 0xff) } : part,
    );
    const tree = inspectState(forge(bytes, all), format);
    expect(tree.records).toHaveLength(5);
    expect(tree.records[1]?.problems).toMatchObject([{ code: "ERR_VFMIG_STATE_PAYLOAD" }]);
    expect(tree.sound).toBe(false);
  });

  it("lets no control character of a stream reach a terminal", async () => {
    const value = { "\u001B[2J": "\u202Eevil\nrecord 9" };
    const text = renderState(inspectState(await save([{ type: "any", value }])));
    expect(text).toContain(String.raw`\u{1b}[2J: "\u{202e}evil\u{a}record 9"`);
    expect(text).not.toContain("\u001B");
  });
});

describe("comparison of descriptions", () => {
  it("finds nothing where a target offers the same", () => {
    expect(compareDescriptions(driver, source, target())).toEqual([]);
  });

  it("finds driver, state version and device ids before it asks the plugin", () => {
    const compare = (): never => {
      throw new Error("asked");
    };
    const other = target({
      driver: { name: "e810-vf", version: "1" },
      state: { version: 7, reads: [6, 7] },
      device: { vendor: 0x8086, device: 0x1889 },
    });
    const reasons = compareDescriptions({ ...driver, compare }, source, other);
    expect(reasons.map(({ field }) => field)).toEqual([
      "driver.name",
      "state.version",
      "device.device",
    ]);
    expect(reasons[1]).toMatchObject({ source: 2, target: [6, 7] });
    expect(compareDescriptions({ ...driver, name: "x", compare }, source, target())).toMatchObject([
      { field: "driver.name" },
    ]);
  });

  it("gives the plugin's reasons", () => {
    const reason = { field: "queues", source: 4, target: 1, reason: "too few" };
    expect(compareDescriptions({ ...driver, compare: () => [reason] }, source, target())).toEqual([
      reason,
    ]);
  });

  it("never takes a plugin's failure, nonsense or a malformed description for a yes", () => {
    const answers: unknown[] = [undefined, true, [1], [{ field: "x" }], Promise.resolve([])];
    for (const answer of answers) {
      const compare = (() => answer) as () => [];
      expect(compareDescriptions({ ...driver, compare }, source, target())).toMatchObject([
        { field: "driver.compare" },
      ]);
    }
    const compare = (): never => {
      throw new Error("boom");
    };
    expect(compareDescriptions({ ...driver, compare }, source, target())).toMatchObject([
      { field: "driver.compare", reason: expect.stringContaining("boom") },
    ]);
    const malformed = { ...source, state: { version: "2" } } as unknown as DeviceDescription;
    expect(compareDescriptions(driver, source, malformed)[0]?.field).toMatch(/^target\.state/u);
  });
});

describe("a dry run", () => {
  it("says that a sound state can be loaded", async () => {
    const report = dryRun(await save(), driver, target());
    expect(report).toMatchObject({ ok: true, records: records.length, skipped: 0, header });
  });

  it("gathers the faults of the header, of each record and of the comparison", async () => {
    const bytes = await save();
    const broken = Uint8Array.of(0xff);
    const all = slices(bytes).map((part, i) =>
      i === 1 || i === 3 ? { ...part, payload: broken } : part,
    );
    const other = target({ state: { version: 1, reads: [1] } });
    const old = { ...driver, state: { ...format, reads: [1] } };
    const report = dryRun(forge(bytes, all), old, other);
    expect(report.ok).toBe(false);
    expect(report.problems.map(({ code }) => code)).toEqual([
      "ERR_VFMIG_STATE_VERSION",
      "ERR_VFMIG_STATE_PAYLOAD",
      "ERR_VFMIG_STATE_PAYLOAD",
      "ERR_VFMIG_STATE_ORDER",
    ]);
    expect(report.incompatibilities).toMatchObject([{ field: "state.version" }]);
  });

  it("says so for bytes that end early, and for a driver that is not the writer's", async () => {
    const bytes = await save();
    const cut = dryRun(bytes.subarray(0, 40), driver, target());
    expect(cut).toMatchObject({ ok: false, records: 0, incompatibilities: [] });
    expect(cut.problems).toMatchObject([{ code: "ERR_VFMIG_STATE_TRUNCATED" }]);
    const foreign = dryRun(bytes, { ...driver, name: "e810-vf" }, target());
    expect(foreign.problems).toMatchObject([{ code: "ERR_VFMIG_STATE_DRIVER" }]);
    expect(() => dryRun(bytes, { name: "plain" }, target())).toThrow(
      expect.objectContaining({ code: "ERR_VFMIG_STATE_VERSION" }),
    );
  });
});
