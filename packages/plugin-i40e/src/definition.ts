import type { SubDriverDefinition } from "@vfmig/core";
import { defineIntelVf, type VfOptions } from "@vfmig/iavf/vf";
import { I40E_FAMILY } from "./family.ts";

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
export const i40eVf: SubDriverDefinition<VfOptions> = defineIntelVf(I40E_FAMILY);
