import { inspectState, renderState } from "@vfmig/core";
import type { InspectOptions } from "../commands/state.ts";
import { EXIT } from "../exit-codes.ts";
import { bytesOf } from "../input/files.ts";
import type { CommandContext } from "../program.ts";

/** Prints every record of a device-state file. */
export async function inspect(
  file: string,
  options: InspectOptions,
  { terminal, exit }: CommandContext,
): Promise<void> {
  const tree = inspectState(await bytesOf(file));
  terminal.result(options.json ? JSON.stringify(tree) : renderState(tree));
  if (!tree.sound) exit(EXIT.failed);
}
