import { describe, expect, test } from "vitest";
import { VfmigError } from "../errors/vfmig-error.ts";
import type { PciIdentity } from "../device/info.ts";
import { defineSubDriver } from "./define-sub-driver.ts";
import { matchesDevice } from "./matches-device.ts";
import { createPluginRegistry } from "./registry.ts";
import type { SubDriverDefinition } from "../sub-driver/definition.ts";

const pci: PciIdentity = {
  vendor: 0x8086,
  device: 0x154c,
  subsystemVendor: 0x1028,
  subsystemDevice: 0x0001,
  revision: 2,
};

function plugin(change: Partial<SubDriverDefinition> = {}): SubDriverDefinition {
  return defineSubDriver({
    name: "acme-vf",
    version: "1.2.0",
    apiVersion: "^1.0.0",
    matches: [{ vendor: 0x8086, device: 0x154c }],
    privileges: [],
    capabilities: {},
    attach: () => ({ close: async () => {} }),
    ...change,
  });
}

const origin = { package: "@acme/vfmig-plugin" };

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof VfmigError) return error.code;
    throw error;
  }
  return "nothing was thrown";
}

describe("a registry", () => {
  test("is empty until something is registered, and knows nothing of another registry", () => {
    const one = createPluginRegistry();
    one.register(plugin(), origin);
    expect(createPluginRegistry().list()).toEqual([]);
    expect(one.list().map((entry) => entry.definition.name)).toEqual(["acme-vf"]);
  });

  test("shows name, version, integrity and privileges of what is registered", () => {
    const privileges = [{ kind: "pf-register", what: "queue heads", why: "not visible to the VF" }];
    const registry = createPluginRegistry();
    registry.register(plugin({ privileges }), { ...origin, integrity: "sha512-x" });
    expect(registry.get("acme-vf").identity).toEqual({
      name: "acme-vf",
      version: "1.2.0",
      integrity: "sha512-x",
      privileges: ["pf-register: queue heads (not visible to the VF)"],
    });
  });

  test("refuses a second sub-driver of a name, naming both packages", () => {
    const registry = createPluginRegistry();
    registry.register(plugin(), { package: "a" });
    expect(() => registry.register(plugin({ version: "2.0.0" }), { package: "b" })).toThrow(
      expect.objectContaining({
        code: "ERR_VFMIG_PLUGIN_DUPLICATE",
        details: { name: "acme-vf", packages: ["a", "b"] },
      }),
    );
    expect(registry.get("acme-vf").definition.version).toBe("1.2.0");
  });

  test.each([
    ["1.0.0", "^1.0.0", true],
    ["1.4.2", "^1.0.0", true],
    ["1.1.0-rc.1", "^1.0.0", true],
    ["1.1.0-rc.1", "^1.1.0-rc.1", true],
    ["1.1.0-rc.1", "^1.1.0", false],
    ["1.1.0-rc.1", "^1.1.0-rc.2", false],
    ["2.0.0-beta.1", "^1.0.0", false],
    ["2.0.0-beta.1", "^2.0.0-beta.1", true],
    ["2.0.0", "^1.0.0 || ^2.0.0", true],
    ["2.0.0", "^1.0.0", false],
    ["1.0.0", "^1.1.0", false],
  ])("with API %s takes a plugin for %s: %s", (offered, apiVersion, taken) => {
    const registry = createPluginRegistry(offered);
    const code = codeOf(() => registry.register(plugin({ apiVersion }), origin));
    expect(code).toBe(taken ? "nothing was thrown" : "ERR_VFMIG_PLUGIN_API_VERSION");
    expect(registry.list()).toHaveLength(taken ? 1 : 0);
  });

  test("checks manifest and declared capabilities before it takes a sub-driver up", () => {
    const registry = createPluginRegistry();
    expect(codeOf(() => registry.register({ name: "acme-vf" }, origin))).toBe(
      "ERR_VFMIG_PLUGIN_MANIFEST",
    );
    const capabilities = { migration: ["stop-copy"] as const };
    expect(codeOf(() => registry.register(plugin({ capabilities }), origin))).toBe(
      "ERR_VFMIG_PLUGIN_FACET_MISSING",
    );
    expect(registry.list()).toEqual([]);
  });

  test("names the registered ones when another is asked for", () => {
    const registry = createPluginRegistry();
    registry.register(plugin(), origin);
    expect(() => registry.get("acme")).toThrow(/no sub-driver "acme" .* acme-vf/);
    expect(codeOf(() => registry.unregister("acme"))).toBe("ERR_VFMIG_PLUGIN_UNKNOWN");
  });

  test("does not unregister while a device is open, and does so after the last one closes", () => {
    const registry = createPluginRegistry();
    registry.register(plugin(), origin);
    const first = registry.acquire("acme-vf", { device: "vf0", pci });
    const second = registry.acquire("acme-vf", { device: "vf1", pci });
    expect(registry.get("acme-vf").openDevices).toEqual(["vf0", "vf1"]);
    first.release();
    first.release();
    expect(() => registry.unregister("acme-vf")).toThrow(
      expect.objectContaining({
        code: "ERR_VFMIG_PLUGIN_IN_USE",
        details: { name: "acme-vf", devices: ["vf1"] },
      }),
    );
    second[Symbol.dispose]();
    registry.unregister("acme-vf");
    expect(registry.list()).toEqual([]);
    expect(codeOf(() => registry.register(plugin(), origin))).toBe("nothing was thrown");
  });

  test("refuses a device that the sub-driver does not drive, and counts it as not open", () => {
    const registry = createPluginRegistry();
    registry.register(plugin(), origin);
    const other = { ...pci, device: 0x1889 };
    expect(() => registry.acquire("acme-vf", { device: "vf0", pci: other })).toThrow(
      expect.objectContaining({
        code: "ERR_VFMIG_PLUGIN_DEVICE_MISMATCH",
        message: expect.stringContaining("8086:1889"),
      }),
    );
    expect(codeOf(() => registry.acquire("acme-vf", { device: "vf0", pci: undefined }))).toBe(
      "ERR_VFMIG_PLUGIN_DEVICE_MISMATCH",
    );
    expect(registry.get("acme-vf").openDevices).toEqual([]);
  });
});

describe("matchesDevice", () => {
  test.each<[string, SubDriverDefinition["matches"], boolean]>([
    ["vendor and device", [{ vendor: 0x8086, device: 0x154c }], true],
    ["another vendor", [{ vendor: 0x8087, device: 0x154c }], false],
    ["another device", [{ vendor: 0x8086, device: 0x154d }], false],
    [
      "the second of two",
      [
        { vendor: 1, device: 1 },
        { vendor: 0x8086, device: 0x154c },
      ],
      true,
    ],
    ["its subsystem vendor", [{ vendor: 0x8086, device: 0x154c, subsystemVendor: 0x1028 }], true],
    ["another subsystem vendor", [{ vendor: 0x8086, device: 0x154c, subsystemVendor: 0 }], false],
    ["another subsystem device", [{ vendor: 0x8086, device: 0x154c, subsystemDevice: 0 }], false],
  ])("by %s", (_, matches, wanted) => {
    expect(matchesDevice(plugin({ matches }), pci)).toBe(wanted);
  });
});
