import { VfmigError } from "../../errors/vfmig-error.ts";
import { packageIntegrity, verifyIntegrity } from "./package-integrity.ts";
import type { ResolvedPackage } from "./resolve-package.ts";

/** A package that was checked and then run. */
export interface ImportedPackage {
  /** What its module exports as default. */
  readonly value: unknown;
  /** Hash over its files, taken before it was run. */
  readonly integrity: string;
}

/**
 * Imports a package's module, after its files were hashed and, where an integrity is pinned, compared.
 *
 * @param expected The configuration's `integrity`, if it pins one.
 * @throws VfmigError `ERR_VFMIG_PLUGIN_INTEGRITY`, `ERR_VFMIG_PACKAGE_INVALID`,
 * `ERR_VFMIG_PACKAGE_IMPORT`
 */
export async function importPackage(
  resolved: ResolvedPackage,
  expected?: string,
): Promise<ImportedPackage> {
  const integrity =
    expected === undefined
      ? await packageIntegrity(resolved.root)
      : await verifyIntegrity(resolved, expected);
  return { value: await importModule(resolved), integrity };
}

/**
 * What a package's module exports as default. For packages that nobody can pin, such as bases: their files are
 * not hashed, which takes longer than all else where they are many.
 * @throws VfmigError `ERR_VFMIG_PACKAGE_IMPORT`
 */
export async function importModule(resolved: ResolvedPackage): Promise<unknown> {
  let module: { readonly default?: unknown };
  try {
    module = await import(/* @vite-ignore */ resolved.entry);
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause);
    throw importError(resolved, `failed while it was evaluated: ${text}`, cause);
  }
  if (module.default === undefined) throw importError(resolved, "has no default export");
  return module.default;
}

function importError(resolved: ResolvedPackage, why: string, cause?: unknown): VfmigError {
  const { specifier, name, version, entry } = resolved;
  return new VfmigError(
    "ERR_VFMIG_PACKAGE_IMPORT",
    `"${specifier}" (${name} ${version}, ${entry}) ${why}; report it to the package's vendor`,
    { layer: "core", details: { specifier, name, version, entry }, cause },
  );
}
