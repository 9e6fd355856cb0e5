import { importModule, resolvePackage, VfmigError, type BaseDefinition } from "@vfmig/core";

/**
 * The base that a configuration names.
 * @param where the device's path in the configuration, such as `devices[0]`
 * @throws VfmigError `ERR_VFMIG_HOST_MODULE` where the package exports none, `ERR_VFMIG_PACKAGE_*`
 */
export async function importBase(
  name: string,
  where: string,
  folder: string,
): Promise<BaseDefinition> {
  const value = await importModule(await resolvePackage(name, folder));
  if (isBase(value)) return value;
  throw new VfmigError(
    "ERR_VFMIG_HOST_MODULE",
    `${where}.base.package: "${name}" exports no base (a name, a version and open()). A plugin belongs under "driver".`,
    { layer: "host", details: { where, package: name } },
  );
}

/** Whether a module's default export is a base, and no driver. */
export function isBase(value: unknown): value is BaseDefinition {
  return (
    typeof value === "object" &&
    value !== null &&
    "open" in value &&
    typeof value.open === "function" &&
    "name" in value &&
    typeof value.name === "string" &&
    !("attach" in value)
  );
}
