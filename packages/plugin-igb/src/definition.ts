import { defineSubDriver, type SubDriverDefinition } from "@vfmig/core";
import { compare } from "./describe/compare.ts";
import { IgbVf } from "./device.ts";
import { DRIVER } from "./driver.ts";
import { type IgbVfOptions, optionsSchema } from "./options.ts";
import { stateFormat } from "./state/schema.ts";

/**
 * Live migration of Intel 82576 virtual functions, without any access to the PF.
 *
 * @example
 * ```ts
 * import igbVf from "@vfmig/plugin-igb";
 *
 * igbVf.matches; // [{ vendor: 0x8086, device: 0x10ca }]
 * ```
 */
export const igbVf: SubDriverDefinition<IgbVfOptions> = defineSubDriver({
  ...DRIVER,
  apiVersion: "^1.0.0",
  matches: [{ vendor: 0x8086, device: 0x10ca }],
  privileges: [],
  capabilities: {
    migration: ["stop-copy", "p2p"],
    dirtyTracking: "shadow-queues",
    stop: "function",
  },
  state: stateFormat,
  options: optionsSchema,
  attach: (context) => new IgbVf(context),
  compare,
});
