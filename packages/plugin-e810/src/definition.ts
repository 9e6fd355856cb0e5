import type { SubDriverDefinition } from "@vfmig/core";
import { defineIntelVf, type VfOptions } from "@vfmig/iavf/vf";
import { E810_FAMILY } from "./family.ts";

/**
 * Live migration of Intel E810 virtual functions, without any access to the PF.
 *
 * @example
 * ```ts
 * import e810Vf from "@vfmig/plugin-e810";
 *
 * e810Vf.matches; // [{ vendor: 0x8086, device: 0x1889 }]
 * ```
 */
export const e810Vf: SubDriverDefinition<VfOptions> = defineIntelVf(E810_FAMILY);
