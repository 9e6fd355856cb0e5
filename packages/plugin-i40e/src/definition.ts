import { defineSubDriver, type SubDriverDefinition } from "@vfmig/core";
import { compare } from "./describe/compare.ts";
import { I40eVf } from "./device.ts";
import { DRIVER } from "./driver.ts";
import { type I40eVfOptions, optionsSchema } from "./options.ts";
import { stateFormat } from "./state/schema.ts";

/**
 * Live migration of Intel 700-series virtual functions, without any access to the PF.
 *
 * @example
 * ```ts
 * import i40eVf from "@vfmig/plugin-i40e";
 *
 * i40eVf.matches; // [{ vendor: 0x8086, device: 0x154c }]
 * ```
 */
export const i40eVf: SubDriverDefinition<I40eVfOptions> = defineSubDriver({
  ...DRIVER,
  apiVersion: "^1.0.0",
  matches: [{ vendor: 0x8086, device: 0x154c }],
  privileges: [],
  capabilities: { migration: ["stop-copy"], dirtyTracking: "shadow-queues", stop: "function" },
  state: stateFormat,
  options: optionsSchema,
  attach: (context) => new I40eVf(context),
  compare,
});
