import type { SubDriverDefinition } from "../sub-driver/definition.ts";
import { deepFreeze } from "../config/deep-freeze.ts";

/**
 * Version of the API between core and sub-drivers: context, facets, manifest. Apart from the packages'
 * versions; a sub-driver states the range that it works with.
 */
export const PLUGIN_API_VERSION = "1.0.0";

/**
 * Types and freezes what a vendor package exports as default. Registers nothing.
 *
 * @example
 * ```ts
 * import { defineSubDriver } from "@vfmig/core";
 *
 * export default defineSubDriver({
 *   name: "acme-vf",
 *   version: "1.2.0",
 *   apiVersion: "^1.0.0",
 *   matches: [{ vendor: 0x1234, device: 0x5678 }],
 *   privileges: [],
 *   capabilities: {},
 *   attach: () => ({ close: async () => {} }),
 * });
 * ```
 */
export function defineSubDriver<Options = unknown>(
  definition: SubDriverDefinition<Options>,
): SubDriverDefinition<Options> {
  return deepFreeze(definition);
}
