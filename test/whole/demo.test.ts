import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const bin = join(root, "packages", "cli", "bin", "vfmig.js");
const demo = join(root, "examples", "demo");

interface Demo {
  readonly schemaVersion: number;
  readonly moves: number;
  readonly driver: { readonly name: string; readonly version: string; readonly integrity: string };
  readonly frames: Readonly<Record<string, number>>;
  readonly migration: {
    readonly stopToRunMs: readonly number[];
    readonly stateBytes: readonly number[];
    readonly dirtyPages: readonly number[];
    readonly framesDuringBlackout: readonly number[];
    readonly ringIndices: readonly (readonly { readonly rx: number }[])[];
  };
  readonly flows: readonly {
    readonly sent: number;
    readonly delivered: number;
    readonly duringBlackout: number;
    readonly duringSwitch: number;
    readonly lost: number;
  }[];
}

function vfmig(
  ...words: readonly string[]
): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [bin, ...words], { cwd: root }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

describe("vfmig demo", () => {
  it("moves a VF to and fro under traffic without losing, doubling, reordering or breaking a frame", async () => {
    const folder = await mkdtemp(join(tmpdir(), "vfmig-demo-"));
    try {
      const file = join(folder, "vf.bin");
      const words = [
        "--repeat",
        "8",
        "--seed",
        "5",
        "--rate",
        "1500",
        "--json",
        "--save-state",
        file,
      ];
      const { code, stdout, stderr } = await vfmig("demo", "--config", demo, ...words);
      expect(stderr).toBe("");
      const report = JSON.parse(stdout) as Demo;
      expect(report).toMatchObject({ schemaVersion: 1, moves: 8, driver: { name: "i40e-vf" } });
      expect(report.driver.integrity).toMatch(/^sha512-/);
      expect(report.frames).toMatchObject({ lost: 0, duplicated: 0, reordered: 0, corrupted: 0 });
      expect(report.frames["toGuest"]).toBeGreaterThan(1500);
      expect(report.frames["fromGuest"]).toBeGreaterThan(700);
      for (const flow of report.flows) {
        expect(flow.sent).toBe(
          flow.delivered + flow.duringBlackout + flow.duringSwitch + flow.lost,
        );
      }
      const { migration } = report;
      for (const list of [migration.stopToRunMs, migration.stateBytes, migration.dirtyPages]) {
        expect(list).toHaveLength(8);
        expect(list.every((value) => value > 0)).toBe(true);
      }
      const withFrames = migration.framesDuringBlackout.filter((count) => count > 0);
      expect(withFrames.length).toBeGreaterThanOrEqual(4);
      const indices = migration.ringIndices.flatMap((rings) => rings.map(({ rx }) => rx));
      expect(new Set(indices).size).toBeGreaterThan(8);
      expect(code).toBe(0);

      const shown = await vfmig("state", "inspect", file, "--json");
      expect(shown.code).toBe(0);
      expect(JSON.parse(shown.stdout)).toMatchObject({ sound: true, driver: { name: "i40e-vf" } });
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it.each([
    [
      "an E810 with mixed traffic, on rings of its own until it moves",
      ["--model", "e810", "--traffic", "mixed", "--shadow", "while-saving", "--queues", "8"],
    ],
    ["a plugin on another vfio-user server's device", ["--model", "chained"]],
  ])("moves %s", async (_what, words) => {
    const run = ["--repeat", "2", "--seed", "3", "--rate", "1000", "--json"];
    const { code, stdout } = await vfmig("demo", "--config", demo, ...run, ...words);
    const { moves, frames, flows } = JSON.parse(stdout) as Demo;
    expect(moves).toBe(2);
    expect(frames).toMatchObject({ lost: 0, duplicated: 0, reordered: 0, corrupted: 0 });
    expect(frames["toGuest"]).toBeGreaterThan(300);
    for (const { sent, delivered, duringBlackout, duringSwitch, lost } of flows) {
      expect(sent).toBe(delivered + duringBlackout + duringSwitch + lost);
    }
    expect(code).toBe(0);
  });
});
