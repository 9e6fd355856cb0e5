import { VfmigError } from "../errors/vfmig-error.ts";
import { messageOf } from "./plugin-guard.ts";

type Step = readonly [name: string, run: () => unknown];

/**
 * Runs each step, in order, even where an earlier one failed.
 * @throws VfmigError `ERR_VFMIG_DEVICE_CLOSE` naming every step that failed
 */
export async function closeInOrder(steps: readonly Step[]): Promise<void> {
  const failures: { readonly step: string; readonly error: unknown }[] = [];
  for (const [step, run] of steps) {
    try {
      await run();
    } catch (error) {
      failures.push({ step, error });
    }
  }
  const first = failures[0];
  if (first === undefined) return;
  const list = failures.map(({ step, error }) => `${step}: ${messageOf(error)}`);
  throw new VfmigError(
    "ERR_VFMIG_DEVICE_CLOSE",
    `The device is closed, but not all of it went well: ${list.join("; ")}`,
    {
      layer: VfmigError.is(first.error) ? first.error.layer : "core",
      details: { failures: list, errno: "EIO" },
      cause: new AggregateError(failures.map(({ error }) => error)),
    },
  );
}
