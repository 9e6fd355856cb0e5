import { VfmigError } from "@vfmig/core";
import type { Session } from "./session.ts";

/**
 * Releases what a client leaves: its irqs, the state that it gave to the device, its mappings. No
 * failure keeps the next client out; each is logged.
 */
export async function tearDown(session: Session): Promise<void> {
  const { settings, device, irqs, dma } = session;
  const tell = (error: unknown): void => {
    const text = error instanceof Error ? error.message : String(error);
    settings.logger.error(`vfio-user: cleaning up after a client: ${text}`);
  };
  irqs.disableAll(tell);
  session.regionMappings.forget();
  if (!settings.keepOnDisconnect() && device.info.resettable) {
    await step(session, "reset", () => device.reset()).catch(tell);
  }
  // A state change that ran is cancelled by the reset; its work may use mappings until it has settled.
  await step(session, "the state change in progress", () => session.migrationLane.whenIdle()).catch(
    tell,
  );
  await step(session, "the mapping in progress", () => session.dmaLane.whenIdle()).catch(tell);
  await step(session, "unmapping the client's memory", () => dma.unmapAll()).catch(tell);
  dma.forget();
}

/** Runs `work`, but waits for it no longer than the limit. */
async function step(session: Session, what: string, work: () => Promise<void>): Promise<void> {
  const { clock, teardownTimeoutMs } = session.settings;
  const late = Promise.withResolvers<never>();
  const timer = clock.after(teardownTimeoutMs, () =>
    late.reject(
      new VfmigError(
        "ERR_VFMIG_VFIO_USER_TIMEOUT",
        `vfio-user: ${what} took longer than ${teardownTimeoutMs} ms; going on without it`,
        { layer: "vfio-user", details: { limitMs: teardownTimeoutMs } },
      ),
    ),
  );
  try {
    await Promise.race([Promise.resolve().then(work), late.promise]);
  } finally {
    timer.cancel();
  }
}
