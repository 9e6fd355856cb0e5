import { readFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { configJsonSchema } from "./schema.ts";

describe("the JSON Schema", () => {
  test("in the package is the current one (node scripts/config-schema.mjs writes it)", async () => {
    const file = new URL("../../schema/vfmig.config.schema.json", import.meta.url);
    expect(JSON.parse(await readFile(file, "utf8"))).toEqual(configJsonSchema());
  });

  test("knows every key and refuses others", () => {
    expect(configJsonSchema()).toMatchObject({
      additionalProperties: false,
      required: ["devices"],
      properties: {
        $schema: {},
        scenario: { required: ["package"] },
        devices: {
          items: {
            additionalProperties: false,
            required: ["name", "base"],
            properties: {
              name: {},
              base: {},
              driver: { properties: { integrity: {} } },
              socket: {},
            },
          },
        },
      },
    });
  });
});
