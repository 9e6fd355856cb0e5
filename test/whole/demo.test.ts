import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type Demo, demo, vfmig } from "./rig/run-demo.ts";

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
      expect(migration.dirty).toHaveLength(8);
      for (const { reported, changed, extra, forgotten } of migration.dirty) {
        expect([reported, forgotten]).toEqual([changed + extra, 0]);
        expect(changed).toBeGreaterThan(0);
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
});
