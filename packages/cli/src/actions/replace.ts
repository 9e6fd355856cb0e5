import type { ReplacementOutcome } from "@vfmig/core";
import { askControl } from "@vfmig/host/control";
import type { ReplaceOptions } from "../commands/replace.ts";
import type { CommandContext } from "../program.ts";

/** Asks a host to let another device take the place of a served one. */
export async function replace(
  name: string,
  options: ReplaceOptions,
  { terminal }: CommandContext,
): Promise<void> {
  const path = `/devices/${encodeURIComponent(name)}/replace`;
  const answer = await askControl(options.control, "POST", path, { with: options.with });
  if (options.json) return terminal.result(JSON.stringify(answer));
  // Answered by a host of the same version; what it says is shown, not relied upon.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  const { windowMs, phases, stateBytes } = answer["outcome"] as ReplacementOutcome;
  const steps = Object.entries(phases)
    .filter(([step]) => step !== "ahead")
    .map(([step, ms]) => `${step} ${ms.toFixed(1)}`);
  terminal.result(
    [
      `${name} is now ${String(answer["entry"])}`,
      `  pause       ${windowMs.toFixed(1)} ms (${steps.join(", ")})`,
      `  state       ${stateBytes} bytes, after ${phases.ahead.toFixed(1)} ms of preparation`,
    ].join("\n"),
  );
}
