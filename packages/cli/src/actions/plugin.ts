import { packageIntegrity, resolvePackage } from "@vfmig/core/config";
import type { IntegrityOptions } from "../commands/plugin.ts";
import type { CommandContext } from "../program.ts";

/** Prints the hash over a package's files. */
export async function printIntegrity(
  name: string,
  options: IntegrityOptions,
  { terminal }: CommandContext,
): Promise<void> {
  const { version, root } = await resolvePackage(name, options.folder);
  const integrity = await packageIntegrity(root);
  const report = { schemaVersion: 1, package: name, version, integrity };
  terminal.result(options.json ? JSON.stringify(report) : integrity);
}
