import { z } from "zod";
import { DIRTY_SOURCES } from "../dirty/sources.ts";
import { DRIVER_MODES } from "../record/driver-mode.ts";
import { INTEGRITY, PACKAGE_SPECIFIER, specifierHint } from "./specifier.ts";
import type { VfmigConfig } from "./types.ts";

/** Also used in socket names, metric labels and logs, hence narrow. */
const DEVICE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

const specifier = z
  .string()
  .regex(PACKAGE_SPECIFIER, {
    error: ({ input }) => `not a package name; ${specifierHint(String(input))}`,
  })
  .describe(
    "Package name with an optional export subpath, resolved from the configuration's folder.",
  );

const options = z
  .record(z.string(), z.unknown())
  .optional()
  .describe("Options, validated by the package's own schema.");

const reference = z.strictObject({ package: specifier, options });

const driver = z.strictObject({
  package: specifier,
  options,
  mode: z
    .enum(DRIVER_MODES)
    .optional()
    .describe(
      "How it runs: active (default), transparent (core's pass-through in its place) or base (not at all).",
    ),
  integrity: z
    .string()
    .regex(INTEGRITY, { error: "not an integrity; expected sha512- and the base64 of 64 bytes" })
    .optional()
    .describe(
      "sha512 over the files that npm would publish; checked before the package is imported.",
    ),
});

const device = z.strictObject({
  name: z
    .string()
    .regex(DEVICE_NAME, {
      error: "expected 1 to 64 letters, digits, '.', '_' or '-', a letter or digit first",
    })
    .describe("Unique name of the device."),
  base: reference.describe("What opens the device."),
  driver: driver.optional().describe("Vendor module; absent: the device runs on its base alone."),
  dirtySources: z
    .array(z.enum(DIRTY_SOURCES))
    .min(1, { error: "expected at least one source" })
    .optional()
    .describe("Whom dirty pages are asked of; a page is dirty where any of them says so."),
  socket: z
    .string()
    .min(1, { error: "expected a path" })
    .optional()
    .describe("Unix socket of the device; a relative path counts from the configuration's folder."),
  standby: z
    .boolean()
    .optional()
    .describe("Not served: opened only to take the place of a device that is."),
});

type Device = z.infer<typeof device>;

/** Reports the second of two devices that share what must be their own. */
function refuseShared(
  devices: readonly Device[],
  key: "name" | "socket",
  report: (path: (string | number)[], message: string, hint: string) => void,
): void {
  const first = new Map<string, number>();
  for (const [index, { [key]: value }] of devices.entries()) {
    if (value === undefined) continue;
    const earlier = first.get(value);
    if (earlier === undefined) first.set(value, index);
    else {
      const hint = `give each device a ${key} of its own`;
      report(
        ["devices", index, key],
        `"${value}" is already the ${key} of devices[${earlier}]`,
        hint,
      );
    }
  }
}

/** The configuration's schema. Strict: an unknown key is an error. */
export const configSchema: z.ZodType<VfmigConfig> = z
  .strictObject({
    $schema: z.string().optional(),
    devices: z.array(device).min(1, { error: "expected at least one device" }),
    scenario: reference.optional().describe("What vfmig demo runs."),
  })
  .superRefine(({ devices }, context) => {
    const report = (path: (string | number)[], message: string, hint: string): void => {
      context.addIssue({ code: "custom", path, message, params: { hint } });
    };
    refuseShared(devices, "name", report);
    refuseShared(devices, "socket", report);
    for (const [index, { dirtySources, driver: named }] of devices.entries()) {
      if (dirtySources === undefined || named !== undefined) continue;
      const hint = "name a driver, or leave dirtySources out: only a device with one joins them";
      report(["devices", index, "dirtySources"], "the device has no driver", hint);
    }
    for (const [index, { standby, socket }] of devices.entries()) {
      if (standby !== true || socket === undefined) continue;
      const hint = "leave socket out: it takes over that of the device which it replaces";
      report(["devices", index, "socket"], "a standby device is not served", hint);
    }
    if (devices.length > 0 && devices.every(({ standby }) => standby === true)) {
      report(["devices"], "every device is a standby", "serve at least one device");
    }
  });

/**
 * The JSON Schema (draft 7, which editors read) of `vfmig.config.json`; also in the package, as
 * `@vfmig/core/schema.json`.
 */
export function configJsonSchema(): Record<string, unknown> {
  const { $schema, ...schema } = z.toJSONSchema(configSchema, { target: "draft-7", io: "input" });
  return { $schema, title: "vfmig configuration", ...schema };
}
