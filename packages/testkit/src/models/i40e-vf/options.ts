import { BAR0_SIZE_700 } from "@vfmig/iavf";
import { z } from "zod";
import { hostSetMac, vfOptionsShape, type VfModelOptions } from "../intel-vf/options.ts";

/**
 * Options of a 700-series VF. Defaults: 4 pairs, 5 vectors, 10,000 Mbit/s (of 100, 1000, 2500, 5000,
 * 10000, 20000, 25000, 40000), revision 2 (1 occurs too), BAR0 of 64 KiB; `vsiId` 1 to 1023.
 */
export type I40eVfOptions = VfModelOptions;

/** The same before the defaults were filled in. */
export type I40eVfOptionsInput = Pick<I40eVfOptions, "mac" | "vsiId"> & {
  readonly [Name in keyof I40eVfOptions]?: I40eVfOptions[Name] | undefined;
};

/** Checks the options of a model and fills in defaults; unknown names are refused. */
export const i40eVfOptions: z.ZodType<I40eVfOptions, I40eVfOptionsInput> = z
  .strictObject({
    ...vfOptionsShape({
      queuePairs: 4,
      vectors: 5,
      speeds: [100, 1_000, 2_500, 5_000, 10_000, 20_000, 25_000, 40_000],
      linkSpeed: 10_000,
      bar0Size: BAR0_SIZE_700,
    }),
    vsiId: z.int().min(1).max(1023),
  })
  .transform((options) => ({ ...options, adminMac: hostSetMac(options) }));
