import { describe, expect, test } from "vitest";
import { z } from "zod";
import { VfmigError } from "../errors/vfmig-error.ts";
import type { SubDriverDefinition } from "../sub-driver/definition.ts";
import type { MigrationOps, SubDriver } from "../sub-driver/facets.ts";
import { declaredArcs, undeclaredCapability, type MigrationCapability } from "./capability-arcs.ts";
import { checkCapabilities, checkFacets } from "./check-facets.ts";

const SETS: readonly (readonly MigrationCapability[])[] = [
  ["stop-copy"],
  ["stop-copy", "p2p"],
  ["stop-copy", "pre-copy"],
  ["stop-copy", "p2p", "pre-copy"],
];

function definition(
  migration: readonly MigrationCapability[] | undefined,
  change: Partial<SubDriverDefinition> = {},
): SubDriverDefinition {
  const migrates: Partial<SubDriverDefinition> =
    migration === undefined
      ? {}
      : {
          state: {
            version: 1,
            reads: [1],
            records: { a: { id: 16, mandatory: true, schema: z.unknown() } },
          },
          compare: () => [],
        };
  return {
    name: "acme-vf",
    version: "1.0.0",
    apiVersion: "^1.0.0",
    matches: [{ vendor: 1, device: 2 }],
    privileges: [],
    capabilities: migration === undefined ? {} : { migration },
    attach: () => ({ close: async () => {} }),
    ...migrates,
    ...change,
  };
}

function migrationOps(capabilities: readonly MigrationCapability[]): MigrationOps {
  const preCopy = {
    savePrecopy: () => [],
    precopyInfo: () => ({ initialBytes: 0, dirtyBytes: 0, reinit: false }),
  };
  return {
    arcs: Object.fromEntries(declaredArcs(capabilities).map((arc) => [arc, async () => {}])),
    save: () => [],
    load: () => ({ record() {}, commit: async () => {}, abort() {} }),
    size: () => 0,
    ...(capabilities.includes("pre-copy") ? preCopy : {}),
  };
}

function complete(capabilities: readonly MigrationCapability[]): SubDriver {
  return {
    migration: migrationOps(capabilities),
    describe: async () => {
      throw new Error("not asked here");
    },
    close: async () => {},
  };
}

function without(owner: object, key: string): Record<string, unknown> {
  return Object.fromEntries(Object.entries(owner).filter(([name]) => name !== key));
}

/** Calls with what no typed caller could pass, as a plugin in plain JavaScript may. */
function checkUntyped(manifest: unknown, sub: unknown): void {
  Reflect.apply(checkFacets, undefined, [manifest, sub]);
}

function refusal(run: () => void): VfmigError {
  try {
    run();
  } catch (error) {
    if (error instanceof VfmigError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

describe("facets", () => {
  test.each(SETS)("that are complete for %j are accepted", (...set) => {
    expect(() => checkFacets(definition(set), complete(set))).not.toThrow();
  });

  test.each(SETS)("that lack any one arc of %j are refused, naming it", (...set) => {
    for (const arc of declaredArcs(set)) {
      const sub = complete(set);
      const migration = { ...migrationOps(set), arcs: without(migrationOps(set).arcs, arc) };
      const error = refusal(() => checkFacets(definition(set), { ...sub, migration }));
      expect(error.code).toBe("ERR_VFMIG_PLUGIN_FACET_MISSING");
      expect(error.details["missing"]).toEqual([`migration.arcs["${arc}"]`]);
      expect(error.layer).toBe("plugin:acme-vf");
    }
  });

  test.each(["save", "load", "size", "savePrecopy", "precopyInfo"])(
    "that declare pre-copy without migration.%s are refused",
    (key) => {
      const set = SETS[2] ?? [];
      const migration = without(migrationOps(set), key);
      const error = refusal(() => checkUntyped(definition(set), { ...complete(set), migration }));
      expect(error.code).toBe("ERR_VFMIG_PLUGIN_FACET_MISSING");
      expect(error.details["missing"]).toEqual([`migration.${key}()`]);
    },
  );

  test.each(["migration", "describe", "close"])("that lack %s are refused", (key) => {
    const sub = without(complete(["stop-copy"]), key);
    const error = refusal(() => checkUntyped(definition(["stop-copy"]), sub));
    expect(error.code).toBe("ERR_VFMIG_PLUGIN_FACET_MISSING");
    expect(error.message).toContain(key);
  });

  test.each(["state", "compare"])(
    "are not even asked for where a manifest declares migration without %s",
    (key) => {
      const partial = without(definition(["stop-copy"]), key);
      expect(refusal(() => checkUntyped(partial, undefined)).code).toBe(
        "ERR_VFMIG_PLUGIN_FACET_MISSING",
      );
    },
  );

  test("that declare dirty tracking without giving it are refused", () => {
    const tracking = definition(undefined, { capabilities: { dirtyTracking: "shadow queues" } });
    const error = refusal(() => checkFacets(tracking, { close: async () => {} }));
    expect(error.details["missing"]).toEqual([
      "dirtyTracking.start()",
      "dirtyTracking.stop()",
      "dirtyTracking.readAndClear()",
    ]);
  });

  test("that give dirty tracking without declaring it are refused", () => {
    const dirtyTracking = { start: async () => 4096, stop: async () => {}, readAndClear() {} };
    const sub: SubDriver = { dirtyTracking, close: async () => {} };
    const error = refusal(() => checkFacets(definition(undefined), sub));
    expect(error.code).toBe("ERR_VFMIG_PLUGIN_CAPABILITY_UNDECLARED");
    expect(error.message).toContain("dirtyTracking");
  });

  test("that give migration without declaring it are refused", () => {
    const error = refusal(() => checkFacets(definition(undefined), complete(["stop-copy"])));
    expect(error.code).toBe("ERR_VFMIG_PLUGIN_CAPABILITY_UNDECLARED");
  });

  test("that give a state format without migration are refused", () => {
    const stray = definition(undefined, { state: { version: 1, reads: [1], records: {} } });
    expect(refusal(() => checkCapabilities(stray)).code).toBe(
      "ERR_VFMIG_PLUGIN_CAPABILITY_UNDECLARED",
    );
  });

  test("that give more of pre-copy or P2P than is declared are refused, naming the capability", () => {
    const all = complete(["stop-copy", "p2p", "pre-copy"]);
    const both = refusal(() => checkFacets(definition(["stop-copy", "p2p"]), all));
    expect(both.code).toBe("ERR_VFMIG_PLUGIN_CAPABILITY_UNDECLARED");
    expect(both.message).toContain("migration.savePrecopy() (pre-copy)");
    expect(both.message).toContain('migration.arcs["running->pre-copy"] (pre-copy)');
    const single = complete(["stop-copy", "p2p"]);
    const arcs = { ...migrationOps(["stop-copy"]).arcs, ...single.migration?.arcs };
    const migration = { ...migrationOps(["stop-copy"]), arcs };
    const p2p = refusal(() => checkFacets(definition(["stop-copy"]), { ...single, migration }));
    expect(p2p.message).toContain('migration.arcs["running->running-p2p"] (p2p)');
  });

  test("that give an arc which the protocol does not have are refused", () => {
    const migration = migrationOps(["stop-copy"]);
    const arcs = { ...migration.arcs, "stop->paused": async () => {} };
    const sub = { ...complete(["stop-copy"]), migration: { ...migration, arcs } };
    expect(refusal(() => checkFacets(definition(["stop-copy"]), sub)).message).toContain(
      'migration.arcs["stop->paused"] (no such arc)',
    );
  });

  test("may hold an arc that is known but never walked with P2P", () => {
    expect(undeclaredCapability("running->stop", ["stop-copy", "p2p"])).toBeUndefined();
    expect(undeclaredCapability("pre-copy->stop-copy", SETS[3] ?? [])).toBeUndefined();
  });

  test.each([undefined, null, 7, "x"])("cannot be %s", (nonsense) => {
    const error = refusal(() => checkUntyped(definition(undefined), nonsense));
    expect(error.code).toBe("ERR_VFMIG_PLUGIN_FACET_MISSING");
    expect(error.message).toContain("attach()");
  });

  test("that are null count as not given", () => {
    const sub = { ...complete(["stop-copy"]), migration: null };
    expect(refusal(() => checkUntyped(definition(["stop-copy"]), sub)).details["missing"]).toEqual([
      "migration",
    ]);
  });
});
