import { expect, test } from "vitest";
import { defineSubDriver } from "./define-sub-driver.ts";
import { createPluginRegistry } from "./registry.ts";

const named = (name: string) =>
  defineSubDriver({
    name,
    version: "1.0.0",
    apiVersion: "^1.0.0",
    matches: [{ vendor: 1, device: 2 }],
    privileges: [],
    capabilities: {},
    attach: () => ({ close: async () => {} }),
  });

test.each(["vfio-pci", "vfio", "vfio-user", "vfio_pci", "vfio.pci-i40e"])(
  "A sub-driver called %s is refused: nothing passes for the kernel's driver",
  (name) => {
    const registry = createPluginRegistry();
    expect(() => registry.register(named(name), { package: "acme" })).toThrow(
      expect.objectContaining({
        code: "ERR_VFMIG_PLUGIN_MANIFEST",
        message: expect.stringContaining("as only bases are called"),
      }),
    );
    expect(registry.list()).toEqual([]);
  },
);

test.each(["i40e-vf", "vfiofast", "acme-vfio"])("A sub-driver called %s is taken up", (name) => {
  expect(createPluginRegistry().register(named(name), { package: "acme" }).identity).toMatchObject({
    name,
  });
});
