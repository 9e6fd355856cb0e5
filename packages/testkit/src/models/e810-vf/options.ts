import { BAR0_SIZE_E810 } from "@vfmig/iavf";
import { z } from "zod";
import { hostSetMac, vfOptionsShape, type VfModelOptions } from "../intel-vf/options.ts";

/**
 * Options of an E810 VF. Defaults: 16 pairs, 17 vectors, 25,000 Mbit/s (of 100, 1000, 2500, 5000, 10000,
 * 20000, 25000, 40000, 50000, 100000), revision 2, BAR0 of 128 KiB; `vsiId` is always 1.
 */
export interface E810VfOptions extends VfModelOptions {
  /** The port runs in double VLAN mode: filters and offloads of the outer tag too. Default false. */
  readonly doubleVlan: boolean;
  /**
   * The PF grants QOS when asked (traffic classes, quanta, and queue rates, which are stored and not
   * enforced). Default false.
   */
  readonly qos: boolean;
}

/** The same before the defaults were filled in. */
export type E810VfOptionsInput = Pick<E810VfOptions, "mac"> & {
  readonly [Name in keyof E810VfOptions]?: E810VfOptions[Name] | undefined;
};

/** Checks the options of a model and fills in defaults; unknown names are refused. */
export const e810VfOptions: z.ZodType<E810VfOptions, E810VfOptionsInput> = z
  .strictObject({
    ...vfOptionsShape({
      queuePairs: 16,
      vectors: 17,
      speeds: [100, 1_000, 2_500, 5_000, 10_000, 20_000, 25_000, 40_000, 50_000, 100_000],
      linkSpeed: 25_000,
      bar0Size: BAR0_SIZE_E810,
    }),
    // The PF tells every VF the same; taken as an option so that both kinds are configured alike.
    vsiId: z.literal(1).default(1),
    doubleVlan: z.boolean().default(false),
    qos: z.boolean().default(false),
  })
  .transform((options) => ({ ...options, adminMac: hostSetMac(options) }));
