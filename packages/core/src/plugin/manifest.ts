import valid from "semver/functions/valid.js";
import validRange from "semver/ranges/valid.js";
import { z } from "zod";
import { describeIssues, formatIssues } from "../config/issues.ts";
import type { ConfigIssue } from "../config/issues.ts";
import { VfmigError } from "../errors/vfmig-error.ts";
import type { SubDriverDefinition } from "../sub-driver/definition.ts";

/** A name becomes a part of layers, metric labels and state headers, hence narrow. */
const NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/;

/** No sub-driver passes for the kernel's vfio-pci or another base. */
const KERNELS = /^vfio(?![a-z0-9])/;

const words = z.string().trim().min(1, { error: "expected words, found an empty text" });
const id16 = z.int().min(0).max(0xffff);
/** State versions go on the wire as 32 bits. */
const stateVersion = z.int().min(1).max(0xffff_ffff);

const callable = z.custom((value) => typeof value === "function", { error: "expected a function" });

/** A zod 4 schema, also one of another copy of zod. */
const schema = z.custom(
  (value) => typeof value === "object" && value !== null && "_zod" in value && "safeParse" in value,
  { error: "expected a zod 4 schema" },
);

function repeats(values: readonly unknown[]): boolean {
  return new Set(values).size !== values.length;
}

const match = z.strictObject({
  vendor: id16,
  device: id16,
  subsystemVendor: id16.optional(),
  subsystemDevice: id16.optional(),
});

const capabilities = z.strictObject({
  migration: z
    .array(z.enum(["stop-copy", "p2p", "pre-copy"]))
    .refine((list) => list.includes("stop-copy"), {
      error:
        'lacks "stop-copy", which every migration needs; leave migration out where there is none',
    })
    .refine((list) => !repeats(list), { error: "names a capability twice" })
    .optional(),
  dirtyTracking: words.optional(),
  stop: z.enum(["function", "queue"]).optional(),
});

const recordType = z.strictObject({
  id: z
    .int()
    .min(16, { error: "expected 16 or more; lower ids are the format's own" })
    .max(0xffff, { error: "expected 65,535 or less" }),
  mandatory: z.boolean(),
  schema,
});

const state = z
  .strictObject({
    version: stateVersion,
    reads: z.array(stateVersion),
    records: z
      .record(words, recordType)
      .refine((records) => !repeats(Object.values(records).map((record) => record.id)), {
        error: "gives one id to two record types",
      }),
  })
  .refine(({ version, reads }) => reads.includes(version), {
    path: ["reads"],
    error: "lacks the version that the plugin itself writes",
  });

const manifest = z.strictObject({
  name: z
    .string()
    .regex(NAME, {
      error:
        "expected 1 to 64 lower-case letters, digits, '.', '_' or '-', a letter or digit first",
    })
    .refine((name) => !KERNELS.test(name), {
      error:
        'begins with "vfio", as only bases are called; name it after the device that it drives',
    }),
  version: z.string().refine((text) => valid(text) !== null, {
    error: "expected a semantic version such as 1.2.0",
  }),
  apiVersion: z.string().refine((text) => text.trim() !== "" && validRange(text) !== null, {
    error: "expected a range of plugin API versions such as ^1.0.0",
  }),
  matches: z.array(match).min(1, { error: "expected at least one device" }),
  privileges: z.array(z.strictObject({ kind: words, what: words, why: words })),
  capabilities,
  state: state.optional(),
  options: schema.optional(),
  attach: callable,
  compare: callable.optional(),
});

function nameOf(value: unknown): string | undefined {
  if (typeof value !== "object" || value === null || !("name" in value)) return undefined;
  return typeof value.name === "string" && NAME.test(value.name) ? value.name : undefined;
}

/** Narrows the value itself, not zod's copy: `attach` may need it as `this`. */
function isManifest(value: unknown, issues: ConfigIssue[]): value is SubDriverDefinition {
  const result = manifest.safeParse(value);
  if (!result.success) issues.push(...describeIssues(manifest, result.error));
  return result.success;
}

/**
 * Checks each field of what a vendor package exports as default, and gives the same value back, typed.
 * Runs nothing of it. What the declared capabilities need is checked by {@link checkFacets}.
 *
 * @throws VfmigError `ERR_VFMIG_PLUGIN_MANIFEST` with `details.issues`, each with path and hint
 */
export function validateManifest(value: unknown): SubDriverDefinition {
  const issues: ConfigIssue[] = [];
  if (isManifest(value, issues)) return value;
  const name = nameOf(value);
  throw new VfmigError(
    "ERR_VFMIG_PLUGIN_MANIFEST",
    `the manifest of ${name === undefined ? "a sub-driver" : `sub-driver "${name}"`} is not valid:\n` +
      `${formatIssues(issues)}\n  a plugin's default export is made with defineSubDriver({ ... })`,
    { layer: name === undefined ? "core" : `plugin:${name}`, details: { issues } },
  );
}
