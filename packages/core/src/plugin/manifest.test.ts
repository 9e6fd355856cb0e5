import { describe, expect, test } from "vitest";
import { z } from "zod";
import { VfmigError } from "../errors/vfmig-error.ts";
import { defineSubDriver } from "./define-sub-driver.ts";
import { validateManifest } from "./manifest.ts";

const good = {
  name: "acme-vf",
  version: "1.2.0",
  apiVersion: "^1.0.0",
  matches: [{ vendor: 0x1234, device: 0x5678, subsystemVendor: 1, subsystemDevice: 2 }],
  privileges: [{ kind: "pf-register", what: "queue heads", why: "the VF cannot read them" }],
  capabilities: { migration: ["stop-copy", "p2p"], dirtyTracking: "shadow queues", stop: "queue" },
  state: {
    version: 2,
    reads: [1, 2],
    records: { queues: { id: 16, mandatory: true, schema: z.object({ pairs: z.int() }) } },
  },
  options: z.object({ mode: z.string() }),
  attach: () => ({ close: async () => {} }),
  compare: () => [],
};

function refusal(value: unknown): VfmigError {
  try {
    validateManifest(value);
  } catch (error) {
    if (error instanceof VfmigError) return error;
    throw error;
  }
  throw new Error("the manifest was accepted");
}

describe("a manifest", () => {
  test("that is complete is given back as it is", () => {
    expect(validateManifest(good)).toBe(good);
  });

  test("needs neither state, options, compare nor capabilities of a pass-through plugin", () => {
    const { state: _state, options: _options, compare: _compare, ...rest } = good;
    expect(() => validateManifest({ ...rest, capabilities: {} })).not.toThrow();
  });

  test.each<[string, Record<string, unknown>, string]>([
    ["a name with a slash", { name: "acme/vf" }, "name"],
    ["a name that is no text", { name: 7 }, "name"],
    ["no version", { version: undefined }, "version"],
    ["a version that is not semantic", { version: "1.2" }, "version"],
    ["an API range that is none", { apiVersion: "one" }, "apiVersion"],
    ["an empty API range", { apiVersion: " " }, "apiVersion"],
    ["no devices", { matches: [] }, "matches"],
    [
      "a vendor beyond 16 bits",
      { matches: [{ vendor: 0x1_0000, device: 1 }] },
      "matches[0].vendor",
    ],
    ["a fractional device", { matches: [{ vendor: 1, device: 1.5 }] }, "matches[0].device"],
    [
      "an unknown key in a match",
      { matches: [{ vendor: 1, device: 1, revison: 1 }] },
      "matches[0].revison",
    ],
    [
      "a privilege without reason",
      { privileges: [{ kind: "a", what: "b", why: " " }] },
      "privileges[0].why",
    ],
    ["privileges left out", { privileges: undefined }, "privileges"],
    [
      "migration without stop-copy",
      { capabilities: { migration: ["p2p"] } },
      "capabilities.migration",
    ],
    ["migration that names nothing", { capabilities: { migration: [] } }, "capabilities.migration"],
    [
      "a capability twice",
      { capabilities: { migration: ["stop-copy", "stop-copy"] } },
      "capabilities.migration",
    ],
    [
      "an unknown capability",
      { capabilities: { migration: ["stop-copy", "v1"] } },
      "capabilities.migration[1]",
    ],
    ["an unknown kind of stop", { capabilities: { stop: "port" } }, "capabilities.stop"],
    [
      "empty words on dirty tracking",
      { capabilities: { dirtyTracking: "" } },
      "capabilities.dirtyTracking",
    ],
    ["state version 0", { state: { ...good.state, reads: [2, 0] } }, "state.reads[1]"],
    ["a state that it cannot read itself", { state: { ...good.state, reads: [1] } }, "state.reads"],
    [
      "a record id of the format's own",
      { state: { ...good.state, records: { q: { ...good.state.records.queues, id: 15 } } } },
      "state.records.q.id",
    ],
    [
      "a record id beyond 16 bits",
      { state: { ...good.state, records: { q: { ...good.state.records.queues, id: 0x1_0000 } } } },
      "state.records.q.id",
    ],
    [
      "one id for two records",
      {
        state: {
          ...good.state,
          records: { a: good.state.records.queues, b: good.state.records.queues },
        },
      },
      "state.records",
    ],
    [
      "a record whose schema is none",
      {
        state: {
          ...good.state,
          records: { q: { id: 16, mandatory: true, schema: { parse() {} } } },
        },
      },
      "state.records.q.schema",
    ],
    ["options that are no schema", { options: { mode: "x" } }, "options"],
    ["no attach", { attach: undefined }, "attach"],
    ["an attach that is no function", { attach: {} }, "attach"],
    ["a compare that is no function", { compare: [] }, "compare"],
  ])("with %s is refused at its path", (_, change, path) => {
    const error = refusal({ ...good, ...change });
    expect(error.code).toBe("ERR_VFMIG_PLUGIN_MANIFEST");
    expect(error.details["issues"]).toEqual([expect.objectContaining({ path })]);
    expect(error.message).toContain(path);
  });

  test("with a misspelt field names the one that was meant", () => {
    const { privileges, ...rest } = good;
    expect(refusal({ ...rest, privilege: privileges }).message).toContain(
      'privilege: unknown key (did you mean "privileges"?)',
    );
  });

  test("is blamed on the plugin where it has a usable name, else on core's caller", () => {
    expect(refusal({ ...good, version: 1 }).layer).toBe("plugin:acme-vf");
    expect(refusal({ ...good, name: "../x" }).layer).toBe("core");
  });

  test.each([[undefined], [null], [7], ["x"], [[]], [() => good], [new Map()]])(
    "cannot be %s, which is refused by code",
    (value) => {
      expect(refusal(value).code).toBe("ERR_VFMIG_PLUGIN_MANIFEST");
    },
  );
});

describe("defineSubDriver", () => {
  test("freezes the manifest with all that is in it, but leaves schemas working", () => {
    const made = defineSubDriver({
      ...good,
      capabilities: { migration: ["stop-copy"] as const },
      options: z.object({ pairs: z.int().default(1) }),
    });
    expect(Object.isFrozen(made)).toBe(true);
    expect(Object.isFrozen(made.matches[0])).toBe(true);
    expect(Object.isFrozen(made.state?.records["queues"])).toBe(true);
    expect(made.options?.parse({})).toEqual({ pairs: 1 });
    expect(() => validateManifest(made)).not.toThrow();
  });

  test("freezes what is inside an outer value that was frozen already", () => {
    const made = defineSubDriver(
      Object.freeze({ ...good, capabilities: {}, matches: [{ vendor: 1, device: 2 }] }),
    );
    expect(Object.isFrozen(made.matches)).toBe(true);
  });
});
