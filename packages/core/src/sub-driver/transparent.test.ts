import { describe, expect, it } from "vitest";
import { compose } from "../compose/compose.ts";
import { validateManifest } from "../plugin/manifest.ts";
import { FakeBase } from "../testing/fake-base.ts";
import { FakeSubDriver } from "../testing/fake-sub-driver.ts";
import { transparentSubDriver } from "./transparent.ts";

describe("core's transparent sub-driver", () => {
  it("names itself and whom it stands for, and claims no migration", async () => {
    const { definition } = new FakeSubDriver();
    const device = await compose(new FakeBase(), transparentSubDriver(definition));
    expect(device.info.identity.driver).toMatchObject({
      name: "transparent",
      privileges: [],
      standsFor: { name: "fake-nic", version: "1.2.3" },
    });
    expect([device.migration, device.dmaLogging]).toEqual([undefined, undefined]);
    await device[Symbol.asyncDispose]();
  });

  it("passes accesses and interrupts of every region and vector through", async () => {
    const base = new FakeBase();
    const device = await compose(base, transparentSubDriver(new FakeSubDriver().definition));
    for (const index of [0, 3, 7]) {
      device.writeRegion(index, 0x20, Uint8Array.of(index + 1, 2, 3));
      expect([...(base.bytes[index]?.subarray(0x20, 0x23) ?? [])]).toEqual([index + 1, 2, 3]);
      const into = new Uint8Array(3);
      device.readRegion(index, 0x20, into);
      expect([...into]).toEqual([index + 1, 2, 3]);
    }
    let told = 0;
    const events = [undefined, { signal: () => void (told += 1) }];
    const data = { kind: "event", events } as const;
    device.setIrqs({ index: 2, start: 0, count: 2, action: "trigger", data });
    base.raise(2, 0);
    base.raise(2, 1);
    expect(told).toBe(1);
    await device[Symbol.asyncDispose]();
  });

  it("is nothing that a package may bring: a manifest says for whom it stands in vain", () => {
    const { definition } = new FakeSubDriver();
    const claim = { ...definition, standsFor: { name: "i40e-vf", version: "1.0.0" } };
    expect(() => validateManifest(claim)).toThrow(
      expect.objectContaining({ code: "ERR_VFMIG_PLUGIN_MANIFEST" }),
    );
  });
});
