import {
  importPackage,
  resolvePackage,
  VfmigError,
  type DriverReference,
  type PluginRegistry,
  type RegisteredPlugin,
} from "@vfmig/core";
import { isBase } from "./import-base.ts";

/**
 * Takes up the driver that a configuration names, once its bytes are those that it pins.
 * @param where the device's path in the configuration, such as `devices[0]`
 * @throws VfmigError `ERR_VFMIG_HOST_MODULE` where the package exports a base, `ERR_VFMIG_PACKAGE_*`,
 * `ERR_VFMIG_PLUGIN_*`
 */
export async function importDriver(
  registry: PluginRegistry,
  reference: DriverReference,
  where: string,
  folder: string,
): Promise<RegisteredPlugin> {
  const { package: name } = reference;
  const resolved = await resolvePackage(name, folder);
  const { value, integrity } = await importPackage(resolved, reference.integrity);
  if (isBase(value)) {
    throw new VfmigError(
      "ERR_VFMIG_HOST_MODULE",
      `${where}.driver.package: "${name}" exports a base (${value.name}), and no driver. Name it under "base", and a plugin here.`,
      { layer: "host", details: { where, package: name } },
    );
  }
  return registry.register(value, { package: name, integrity });
}
