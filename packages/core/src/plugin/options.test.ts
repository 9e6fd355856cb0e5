import { describe, expect, test } from "vitest";
import { z } from "zod";
import { parseOptions } from "./options.ts";

const options = z.strictObject({
  mode: z.enum(["always", "while-saving"]).default("always"),
  limits: z.strictObject({ pairs: z.int().max(16) }).optional(),
});

describe("options", () => {
  test("are parsed by the package's schema, defaults filled in", () => {
    expect(parseOptions({ name: "x", options }, { mode: "while-saving" })).toEqual({
      mode: "while-saving",
    });
    expect(parseOptions({ name: "x", options }, undefined)).toEqual({ mode: "always" });
  });

  test("are refused where the package declares none, and may be absent there", () => {
    expect(parseOptions({ name: "x" }, undefined)).toBeUndefined();
    expect(() => parseOptions({ name: "x" }, {}, "devices[0].base.options")).toThrow(
      expect.objectContaining({
        code: "ERR_VFMIG_PLUGIN_OPTIONS_UNDECLARED",
        message: expect.stringContaining("devices[0].base.options"),
      }),
    );
  });

  test("that do not fit are refused with the path in the configuration and the key that was meant", () => {
    const bad = { mdoe: "always", limits: { pairs: 17 } };
    expect(() => parseOptions({ name: "x", options }, bad, "devices[0].driver.options")).toThrow(
      expect.objectContaining({
        code: "ERR_VFMIG_PLUGIN_OPTIONS_INVALID",
        details: expect.objectContaining({
          issues: [
            expect.objectContaining({ path: "devices[0].driver.options.limits.pairs" }),
            expect.objectContaining({
              path: "devices[0].driver.options.mdoe",
              hint: 'did you mean "mode"?',
            }),
          ],
        }),
      }),
    );
  });

  test("of which a value is wrong are refused without quoting the value", () => {
    const secret = z.strictObject({ token: z.string().length(4) });
    expect(() => parseOptions({ name: "x", options: secret }, { token: "hunter2" })).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining("hunter2") }),
    );
  });
});
