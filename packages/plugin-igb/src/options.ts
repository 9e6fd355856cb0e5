import { z } from "zod";

/** Options of this plugin in the configuration. */
export interface IgbVfOptions {
  /**
   * When queues are relayed over private rings. `always`: from the first time that they are switched on.
   * `while-saving`: only while device writes are logged or the device is saved; before, the guest has the
   * device's queues and vectors to itself.
   */
  readonly shadow: "always" | "while-saving";
  /**
   * Who sees the guest's accesses to queues and interrupts while it has them to itself. `direct`: nobody, and
   * a user may map those pages where the base lets it; `trapped`: each comes here and is passed on. What is
   * relayed is trapped in any case.
   */
  readonly doorbells: "trapped" | "direct";
  /**
   * Whether running queues go back to the guest's own rings when nothing needs them relayed any more. The
   * device has to take a head other than 0, which no one has yet shown of silicon: off by default.
   */
  readonly handBack: boolean;
  /** Whether the guest's addresses are announced from the new port after a move. */
  readonly announce: boolean;
  /** Milliseconds that a stop waits for frames which the guest has already posted. */
  readonly drainMs: number;
  /** Milliseconds between a queue's end and the last look at its ring; igbvf waits 10, QEMU needs 0. */
  readonly quiesceMs: number;
  /** Milliseconds that the PF has for an answer. */
  readonly pfTimeoutMs: number;
}

const alone = {
  message: 'is for shadow: "while-saving": queues that are always relayed are always trapped',
};

export const optionsSchema: z.ZodType<IgbVfOptions> = z
  .strictObject({
    shadow: z.enum(["always", "while-saving"]).default("always"),
    doorbells: z.enum(["trapped", "direct"]).default("trapped"),
    handBack: z.boolean().default(false),
    announce: z.boolean().default(true),
    drainMs: z.number().min(0).max(10_000).default(50),
    quiesceMs: z.number().min(0).max(1000).default(10),
    pfTimeoutMs: z.number().min(1).max(60_000).default(1000),
  })
  .refine(({ shadow, doorbells }) => shadow !== "always" || doorbells === "trapped", {
    ...alone,
    path: ["doorbells"],
  })
  .refine(({ shadow, handBack }) => shadow !== "always" || !handBack, {
    ...alone,
    path: ["handBack"],
  });
