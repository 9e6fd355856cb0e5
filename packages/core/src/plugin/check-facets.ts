import { VfmigError } from "../errors/vfmig-error.ts";
import type { SubDriverDefinition } from "../sub-driver/definition.ts";
import type { MigrationOps, SubDriver } from "../sub-driver/facets.ts";
import { declaredArcs, undeclaredCapability } from "./capability-arcs.ts";
import type { MigrationCapability } from "./capability-arcs.ts";

/** True where `owner` has a method of that name; reads it without taking it from its owner. */
function gives(owner: object | null | undefined, name: string): boolean {
  return (
    typeof owner === "object" && owner !== null && typeof Reflect.get(owner, name) === "function"
  );
}

/** Paths of what declared migration needs of the manifest itself. */
function missingInManifest(definition: SubDriverDefinition): readonly string[] {
  if (definition.capabilities.migration === undefined) return [];
  const missing: string[] = [];
  if (definition.state === undefined) missing.push("state");
  if (definition.compare === undefined) missing.push("compare()");
  return missing;
}

function missingInMigration(
  declared: readonly MigrationCapability[],
  ops: MigrationOps | undefined,
): readonly string[] {
  if (typeof ops !== "object" || ops === null) return ["migration"];
  const arcs: MigrationOps["arcs"] = ops.arcs ?? {};
  const missing = declaredArcs(declared)
    .filter((arc) => !gives(arcs, arc))
    .map((arc) => `migration.arcs["${arc}"]`);
  for (const name of ["save", "load", "size"] as const) {
    if (!gives(ops, name)) missing.push(`migration.${name}()`);
  }
  if (!declared.includes("pre-copy")) return missing;
  for (const name of ["savePrecopy", "precopyInfo"] as const) {
    if (!gives(ops, name)) missing.push(`migration.${name}()`);
  }
  return missing;
}

/** Paths of what an attached sub-driver lacks for what it declares. */
function missingInSubDriver(definition: SubDriverDefinition, sub: SubDriver): readonly string[] {
  const { migration, dirtyTracking } = definition.capabilities;
  const missing: string[] = [];
  if (!gives(sub, "close")) missing.push("close()");
  if (migration !== undefined) {
    missing.push(...missingInMigration(migration, sub.migration));
    if (!gives(sub, "describe")) missing.push("describe()");
  }
  if (dirtyTracking === undefined) return missing;
  for (const name of ["start", "stop", "readAndClear"] as const) {
    if (!gives(sub.dirtyTracking, name)) missing.push(`dirtyTracking.${name}()`);
  }
  return missing;
}

/** What is given without being declared: the path, and the capability that it belongs to. */
function undeclared(definition: SubDriverDefinition, sub: SubDriver): readonly [string, string][] {
  const { migration, dirtyTracking } = definition.capabilities;
  const found: [string, string][] = [];
  if (sub.dirtyTracking !== undefined && dirtyTracking === undefined) {
    found.push(["dirtyTracking", "dirtyTracking"]);
  }
  if (sub.migration === undefined) return found;
  if (migration === undefined) return [["migration", "migration"], ...found];
  for (const [arc, run] of Object.entries(sub.migration.arcs ?? {})) {
    const capability = run === undefined ? undefined : undeclaredCapability(arc, migration);
    if (capability !== undefined) found.push([`migration.arcs["${arc}"]`, capability]);
  }
  if (migration.includes("pre-copy")) return found;
  for (const name of ["savePrecopy", "precopyInfo"] as const) {
    if (sub.migration[name] !== undefined) found.push([`migration.${name}()`, "pre-copy"]);
  }
  return found;
}

function refuseMissing(definition: SubDriverDefinition, missing: readonly string[]): void {
  if (missing.length === 0) return;
  const { name, version, capabilities } = definition;
  const declared: string[] = [...(capabilities.migration ?? [])];
  if (capabilities.dirtyTracking !== undefined) declared.push("dirty tracking");
  throw new VfmigError(
    "ERR_VFMIG_PLUGIN_FACET_MISSING",
    `sub-driver "${name}" ${version} lacks ${missing.join(", ")}` +
      (declared.length === 0 ? "" : `, which it needs since it declares ${declared.join(", ")}`) +
      "; its author adds what is missing or declares less",
    { layer: `plugin:${name}`, details: { missing, capabilities } },
  );
}

/**
 * Checks what can be seen before a sub-driver is attached: declared migration needs a state format and
 * `compare`; a state format without migration is a capability that was not declared.
 *
 * @throws VfmigError `ERR_VFMIG_PLUGIN_FACET_MISSING`, `ERR_VFMIG_PLUGIN_CAPABILITY_UNDECLARED`
 */
export function checkCapabilities(definition: SubDriverDefinition): void {
  refuseMissing(definition, missingInManifest(definition));
  if (definition.state !== undefined && definition.capabilities.migration === undefined) {
    refuseUndeclared(definition, [["state", "migration"]]);
  }
}

function refuseUndeclared(
  definition: SubDriverDefinition,
  found: readonly (readonly [string, string])[],
): void {
  if (found.length === 0) return;
  const { name, version, capabilities } = definition;
  const list = found.map(([path, capability]) => `${path} (${capability})`).join(", ");
  throw new VfmigError(
    "ERR_VFMIG_PLUGIN_CAPABILITY_UNDECLARED",
    `sub-driver "${name}" ${version} gives ${list} but does not declare it under capabilities; ` +
      "its author declares it or removes it",
    { layer: `plugin:${name}`, details: { given: found.map(([path]) => path), capabilities } },
  );
}

/**
 * Checks what `attach` settled with against what the manifest declares: every declared capability has all that
 * it needs, and nothing is given that was not declared.
 *
 * @throws VfmigError `ERR_VFMIG_PLUGIN_FACET_MISSING`, `ERR_VFMIG_PLUGIN_CAPABILITY_UNDECLARED`
 */
export function checkFacets(definition: SubDriverDefinition, subDriver: SubDriver): void {
  checkCapabilities(definition);
  if (typeof subDriver !== "object" || subDriver === null) {
    refuseMissing(definition, ["a sub-driver as the result of attach()"]);
  }
  refuseMissing(definition, missingInSubDriver(definition, subDriver));
  refuseUndeclared(definition, undeclared(definition, subDriver));
}
