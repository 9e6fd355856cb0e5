import { VfmigError, resolvePackage, type ResolvedPackage } from "@vfmig/core";
import { injectable } from "tsyringe";

/** A package that the configuration names, imported. */
export interface LoadedModule {
  readonly resolved: ResolvedPackage;
  readonly value: unknown;
}

/** Imports packages by the name in the configuration, resolved from the configuration's folder, and no others. */
@injectable()
export class ModuleLoader {
  /**
   * @param check runs before the package's code does, and may refuse it
   * @throws VfmigError `ERR_VFMIG_HOST_MODULE` if the package throws on import or has no default export
   */
  async load(
    specifier: string,
    folder: string,
    check?: (resolved: ResolvedPackage) => Promise<void>,
  ): Promise<LoadedModule> {
    const resolved = await resolvePackage(specifier, folder);
    await check?.(resolved);
    let module: { readonly default?: unknown };
    try {
      module = (await import(resolved.entry)) as { readonly default?: unknown };
    } catch (error) {
      throw new VfmigError(
        "ERR_VFMIG_HOST_MODULE",
        `Package "${specifier}" (${resolved.name} ${resolved.version}) failed while it was imported: ${error instanceof Error ? error.message : String(error)}. Reinstall it, or report this to its maintainer.`,
        { layer: "host", details: { specifier, version: resolved.version }, cause: error },
      );
    }
    if (module.default === undefined) {
      throw new VfmigError(
        "ERR_VFMIG_HOST_MODULE",
        `Package "${specifier}" (${resolved.name} ${resolved.version}) has no default export, so it is no base, plugin or scenario. Check the name in the configuration.`,
        { layer: "host", details: { specifier, version: resolved.version } },
      );
    }
    return { resolved, value: module.default };
  }
}
