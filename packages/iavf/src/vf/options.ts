import { z } from "zod";

/** Options of this plugin in the configuration. */
export interface VfOptions {
  /**
   * When queues are relayed. `always`: from the first queue configuration, so that no ring index ever
   * has to be guessed. It is the only mode so far.
   */
  readonly shadow: "always";
  /** Whether the guest's addresses are announced from the new port after a move. */
  readonly announce: boolean;
  /** Milliseconds that a stop waits for frames which the guest has already posted. */
  readonly drainMs: number;
  /** Milliseconds that the PF has for an answer to a request of this plugin. */
  readonly pfTimeoutMs: number;
  /** Milliseconds that a reset of the VF may take. */
  readonly resetMs: number;
}

export const vfOptionsSchema: z.ZodType<VfOptions> = z.strictObject({
  shadow: z
    .literal("always", {
      error: 'only "always" is there: queues are relayed from their first configuration',
    })
    .default("always"),
  announce: z.boolean().default(true),
  drainMs: z.number().min(0).max(10_000).default(50),
  pfTimeoutMs: z.number().min(1).max(60_000).default(2000),
  resetMs: z.number().min(1).max(60_000).default(5000),
});
