import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger, systemClock } from "@vfmig/core";
import { describe, expect, test } from "vitest";
import { withWire } from "../../wire/wire-options.ts";
import base from "./base.ts";
import { createI40eVfModel } from "./i40e-vf-model.ts";
import { i40eVfOptions } from "./options.ts";
import { RIG_MAC } from "../intel-vf/testing/rig.ts";
import { TestPort } from "../intel-vf/testing/test-port.ts";

describe("the base module", () => {
  test("opens a model whose wire connects to the device's socket in the run's folder", async () => {
    const folder = await mkdtemp(join(tmpdir(), "vfmig-"));
    try {
      const device = await base.open({
        device: "vf3",
        options: withWire(i40eVfOptions).parse({ mac: RIG_MAC, vsiId: 3 }),
        logger: silentLogger,
        clock: systemClock,
        folder,
        runtimeFolder: folder,
      });
      expect((await stat(join(folder, "vf3.wire"))).isSocket()).toBe(true);
      expect(device.info.identity).toMatchObject({
        device: "vf3",
        base: { name: "model" },
        pci: { vendor: 0x8086, device: 0x154c },
      });
      await device[Symbol.asyncDispose]();
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test("shows a plugin plain hardware: no migration, no log of writes, nothing else to reach", () => {
    const { device } = createI40eVfModel({
      name: "vf",
      mac: RIG_MAC,
      vsiId: 1,
      port: new TestPort(),
    });
    expect(device.migration).toBeUndefined();
    expect(device.dmaLogging).toBeUndefined();
    // `input` is for whoever records the device: a plugin's context has no way to it.
    expect(Object.keys(device).toSorted()).toEqual(["dmaLogging", "info", "input", "migration"]);
  });
});

describe("its options", () => {
  test("that are out of range are named in one error", () => {
    const make = (): unknown =>
      createI40eVfModel({ name: "vf", mac: "x", vsiId: 0, port: new TestPort() });
    expect(make).toThrow(expect.objectContaining({ code: "ERR_VFMIG_MODEL_OPTIONS" }));
    expect(make).toThrow(/mac: .*vsiId: /u);
  });

  test("need an address and a VSI id, and fill in an i40e's defaults", () => {
    expect(i40eVfOptions.parse({ mac: RIG_MAC, vsiId: 9 })).toMatchObject({
      queuePairs: 4,
      vectors: 5,
      adminMac: true,
      trusted: false,
      spoofCheck: true,
      pfReplyDelayMs: 0,
    });
    expect(i40eVfOptions.safeParse({ mac: RIG_MAC }).success).toBe(false);
  });

  test.each([
    { mac: "02:00" },
    { vsiId: 0 },
    { vsiId: 1024 },
    { queuePairs: 17 },
    { vectors: 1 },
    { linkSpeed: 12 },
    { bar0Size: 0x1_8000 },
    { pfReplyDelayMs: -1 },
    { headOfQueue0: 3 },
  ])("refuse %j", (wrong) => {
    expect(i40eVfOptions.safeParse({ mac: RIG_MAC, vsiId: 9, ...wrong }).success).toBe(false);
  });
});
