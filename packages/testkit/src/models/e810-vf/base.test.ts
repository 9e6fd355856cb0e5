import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger, systemClock } from "@vfmig/core";
import { describe, expect, test } from "vitest";
import { RIG_MAC } from "../intel-vf/testing/rig.ts";
import { TestPort } from "../intel-vf/testing/test-port.ts";
import base from "./base.ts";
import { createE810VfModel } from "./e810-vf-model.ts";
import { e810VfOptions } from "./options.ts";

describe("the base module of the E810 VF", () => {
  test("opens a model whose wire connects to the device's socket in the run's folder", async () => {
    const folder = await mkdtemp(join(tmpdir(), "vfmig-"));
    try {
      const device = await base.open({
        device: "vf3",
        options: { ...e810VfOptions.parse({ mac: RIG_MAC }), wire: { kind: "scenario" } },
        logger: silentLogger,
        clock: systemClock,
        folder,
        runtimeFolder: folder,
      });
      expect((await stat(join(folder, "vf3.wire"))).isSocket()).toBe(true);
      expect(device.info.identity).toMatchObject({
        device: "vf3",
        base: { name: "model" },
        pci: { vendor: 0x8086, device: 0x1889, revision: 2 },
      });
      expect(device.info.regions.map(({ size }) => size)).toEqual([
        0x20000, 0, 0, 0x4000, 0, 0, 0, 4096, 0,
      ]);
      await device[Symbol.asyncDispose]();
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe("its options", () => {
  test("need an address, and fill in an ice's defaults", () => {
    expect(e810VfOptions.parse({ mac: RIG_MAC })).toMatchObject({
      vsiId: 1,
      queuePairs: 16,
      vectors: 17,
      bar0Size: 0x2_0000,
      doubleVlan: false,
      qos: false,
      throttling: false,
    });
    expect(e810VfOptions.safeParse({}).success).toBe(false);
  });

  test.each([
    { vsiId: 7 },
    { vectors: 18 },
    { bar0Size: 0x1_0000 },
    { linkSpeed: 12 },
    { headOfQueue0: 3 },
  ])("refuse %j", (wrong) => {
    expect(e810VfOptions.safeParse({ mac: RIG_MAC, ...wrong }).success).toBe(false);
  });

  test("that are out of range are named in one error", () => {
    const make = (): unknown => createE810VfModel({ name: "vf", mac: "x", port: new TestPort() });
    expect(make).toThrow(expect.objectContaining({ code: "ERR_VFMIG_MODEL_OPTIONS" }));
  });
});
