import { expect, test } from "vitest";
import { z } from "zod";
import { createPluginRegistry } from "./registry.ts";

test("What is registered is frozen, also where its package did not do so", () => {
  const schema = z.object({ pairs: z.int().default(1) });
  const definition = {
    name: "acme-vf",
    version: "1.2.0",
    apiVersion: "^1.0.0",
    matches: [{ vendor: 0x8086, device: 0x154c }],
    privileges: [],
    capabilities: {} as { migration?: string[] },
    options: schema,
    attach: () => ({ close: async () => {} }),
  };
  const { definition: registered } = createPluginRegistry().register(definition, {
    package: "acme",
  });
  expect(() => (definition.capabilities.migration = ["stop-copy"])).toThrow(TypeError);
  expect(() => definition.matches.push({ vendor: 1, device: 1 })).toThrow(TypeError);
  expect(registered.capabilities).toEqual({});
  expect(registered.matches).toHaveLength(1);
  expect(registered.options?.parse({})).toEqual({ pairs: 1 });
});
