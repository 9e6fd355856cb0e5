import { defineSubDriver, type SubDriverDefinition } from "@vfmig/core";
import { compare } from "./describe/compare.ts";
import type { VfFamily } from "./family.ts";
import { IntelVf } from "./intel-vf.ts";
import { type VfOptions, vfOptionsSchema } from "./options.ts";
import { stateFormat } from "./state/schema.ts";

/** The sub-driver for one family of Intel VFs, without any access to the PF. */
export function defineIntelVf(family: VfFamily): SubDriverDefinition<VfOptions> {
  return defineSubDriver({
    ...family.driver,
    apiVersion: "^1.0.0",
    matches: [{ vendor: 0x8086, device: family.device }],
    privileges: [],
    capabilities: {
      migration: ["stop-copy", "p2p", "pre-copy"],
      dirtyTracking: "shadow-queues",
      stop: "function",
    },
    state: stateFormat,
    options: vfOptionsSchema,
    attach: (context) => new IntelVf(context, family),
    compare,
  });
}
