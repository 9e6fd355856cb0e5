import { VfmigError } from "@vfmig/core";
import { baseFault } from "../kernel-calls.ts";

type Step = readonly [what: string, run: () => unknown];

/** Runs every step, also after one has failed; throws what failed at the end. */
export async function closeAll(device: string, steps: readonly Step[]): Promise<void> {
  const failures: { readonly what: string; readonly error: unknown }[] = [];
  for (const [what, run] of steps) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- the order is the point
      await run();
    } catch (error) {
      // From a device that was taken away there is nothing left to take back.
      if (VfmigError.is(error) && error.code === "ERR_VFMIG_VFIO_GONE") continue;
      failures.push({ what, error });
    }
  }
  if (failures.length === 0) return;
  const texts = failures.map(
    ({ what, error }) => `${what}: ${error instanceof Error ? error.message : String(error)}`,
  );
  throw baseFault(
    "ERR_VFMIG_DEVICE_CLOSE",
    `${device} was closed, but not every step went well. ${texts.join(" ")}`,
    { device, steps: failures.map(({ what }) => what) },
    failures[0]?.error,
  );
}
