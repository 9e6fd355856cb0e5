import { z } from "zod";

/** Options of this plugin in the configuration. */
export interface IgbVfOptions {
  /**
   * When queues are relayed. `always`: from the first time that they are switched on, so that no page
   * that the device writes is ever missed. It is the only mode.
   */
  readonly shadow: "always";
  /** Whether the guest's addresses are announced from the new port after a move. */
  readonly announce: boolean;
  /** Milliseconds that a stop waits for frames which the guest has already posted. */
  readonly drainMs: number;
  /** Milliseconds between a queue's end and the last look at its ring; igbvf waits 10, QEMU needs 0. */
  readonly quiesceMs: number;
  /** Milliseconds that the PF has for an answer. */
  readonly pfTimeoutMs: number;
}

export const optionsSchema: z.ZodType<IgbVfOptions> = z.strictObject({
  shadow: z
    .literal("always", {
      error: 'only "always" is there: queues are relayed from the time they are switched on',
    })
    .default("always"),
  announce: z.boolean().default(true),
  drainMs: z.number().min(0).max(10_000).default(50),
  quiesceMs: z.number().min(0).max(1000).default(10),
  pfTimeoutMs: z.number().min(1).max(60_000).default(1000),
});
