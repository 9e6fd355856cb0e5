import { z } from "zod";
import type { UncarriedPolicy } from "./features/features.ts";

/** When the guest's queues are relayed over private rings. */
export type ShadowMode = "always" | "while-saving";

/** Who sees what the guest writes to the registers of its queues. */
export type DoorbellMode = "trapped" | "direct";

/** Options of this plugin in the configuration. */
export interface VfOptions {
  /**
   * When queues are relayed. `always`: from the first queue configuration, so that no ring index ever
   * has to be guessed. `while-saving`: only while device writes are logged or the device is saved;
   * before, the device runs on the guest's own rings, and the guest's place is inferred from them.
   */
  readonly shadow: ShadowMode;
  /**
   * Whether queues go back to the guest's own rings when nothing needs them relayed any more, in the
   * mode `while-saving`. It may need DUMMY descriptors, which no one has yet shown a real VF to take:
   * off by default.
   */
  readonly handBack: boolean;
  /**
   * How a guest reaches the registers of its queues. `trapped`: each access comes by, so no page of them
   * can be mapped. `direct`, with `while-saving`: users may map them while queues are the guest's own, once
   * the device has shown that tails read back as they were written; they are asked to let go before
   * queues are relayed.
   */
  readonly doorbells: DoorbellMode;
  /** What a guest gets of features that cannot be carried to another host. */
  readonly uncarried: UncarriedPolicy;
  /**
   * Whether an idle VF's PF is asked, by requests that it may refuse, what its policy lets a guest
   * have: addresses of its own, the filters of a trusted VF, more queue pairs.
   */
  readonly askPolicy: boolean;
  /** Whether the guest's addresses are announced from the new port after a move. */
  readonly announce: boolean;
  /** Milliseconds that a stop waits for frames which the guest has already posted. */
  readonly drainMs: number;
  /** Milliseconds that the PF has for an answer to a request of this plugin. */
  readonly pfTimeoutMs: number;
  /** Milliseconds that a reset of the VF may take. */
  readonly resetMs: number;
}

export const vfOptionsSchema: z.ZodType<VfOptions> = z
  .strictObject({
    shadow: z.enum(["always", "while-saving"]).default("always"),
    handBack: z.boolean().default(false),
    doorbells: z.enum(["trapped", "direct"]).default("trapped"),
    uncarried: z.enum(["hide", "refuse", "allow"]).default("hide"),
    askPolicy: z.boolean().default(true),
    announce: z.boolean().default(true),
    drainMs: z.number().min(0).max(10_000).default(50),
    pfTimeoutMs: z.number().min(1).max(60_000).default(2000),
    resetMs: z.number().min(1).max(60_000).default(5000),
  })
  .refine(({ doorbells, shadow }) => doorbells === "trapped" || shadow === "while-saving", {
    path: ["doorbells"],
    message:
      '"direct" needs shadow: "while-saving"; queues that are always relayed have to be rung through this process',
  });
