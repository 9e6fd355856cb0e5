import { vfError } from "../errors.ts";
import type { Parts } from "../parts.ts";
import { waitUntil } from "@vfmig/core/toolkit";

/**
 * Makes the VF one that no guest has used: the PF resets it at our request, which leaves config space
 * and interrupts alone; where the PF does not, the function is reset through the base.
 *
 * @throws VfmigError `ERR_VFMIG_VF_NOT_READY` where the VF does not come out of reset
 */
export async function freshVf(parts: Parts, signal: AbortSignal): Promise<void> {
  const { mailbox, session, context } = parts;
  if (!session.touched) {
    return;
  }
  await ready(parts, signal);
  await mailbox.resetVf({ timeoutMs: context.options.resetMs, signal });
  signal.throwIfAborted();
  if (mailbox.online) {
    context.logger.warn("the PF did not reset the VF; the function is reset instead");
    mailbox.clear();
    await context.base.reset();
    parts.config.refresh();
  }
  await ready(parts, signal);
  session.touched = false;
}

/** @throws VfmigError `ERR_VFMIG_VF_NOT_READY` */
export async function ready(
  { mailbox, context, family }: Parts,
  signal: AbortSignal,
): Promise<void> {
  const done = (): boolean => {
    mailbox.checkReset();
    return mailbox.ready();
  };
  const limit = context.options.resetMs;
  if (!(await waitUntil(context.clock, done, limit, signal))) {
    throw vfError(
      family,
      "ERR_VFMIG_VF_NOT_READY",
      `the VF did not come out of reset within ${limit} ms; look at the host's PF driver`,
      { limit },
    );
  }
}

/**
 * Milliseconds that a PF has for a reset that its guest was told of. A driver waits 5 s for its mailbox to go
 * off (Linux: 500 looks, 10 ms apart), and goes on without after that.
 */
const TOLD_MS = 4000;

/**
 * Resets the VF of a guest that runs, and tells it as its PF would, so that its driver sets all up anew: by
 * the PF, or through the base where the PF stays silent. A PF that resets it later all the same does what any
 * reset does.
 *
 * @throws what the base throws that cannot reset the function
 */
export async function resetUnderGuest({
  mailbox,
  context,
  config,
}: Pick<Parts, "mailbox" | "context" | "config">): Promise<void> {
  const release = config.hold();
  try {
    const timeoutMs = Math.min(TOLD_MS, context.options.resetMs);
    if (!(await mailbox.resetUnderGuest({ timeoutMs }))) {
      context.logger.warn("the PF did not reset the VF; the function is reset instead");
      await context.base.reset();
      config.refresh();
      mailbox.checkReset();
    }
  } catch (error) {
    mailbox.resetFailed();
    throw error;
  } finally {
    release();
  }
}
