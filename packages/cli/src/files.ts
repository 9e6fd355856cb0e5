import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { VfmigError } from "@vfmig/core";

/**
 * Checks, before anything starts, that a file of an option can be written: its folder is there and may be
 * written to. `path` may be undefined, and end in names that come later.
 * @throws VfmigError `ERR_VFMIG_CLI_FILE`
 */
export async function checkWritable(option: string, path: string | undefined): Promise<void> {
  if (path === undefined) return;
  const folder = dirname(resolve(path));
  const why = await stat(folder).then(
    async (found) => (found.isDirectory() ? reasonAgainst(folder) : "is no folder"),
    () => "is not there",
  );
  if (why === undefined) return;
  throw new VfmigError(
    "ERR_VFMIG_CLI_FILE",
    `${option} ${path} cannot be written: the folder ${folder} ${why}. Make it, or name a file elsewhere.`,
    { layer: "cli", details: { option, path, folder } },
  );
}

async function reasonAgainst(folder: string): Promise<string | undefined> {
  return access(folder, constants.W_OK | constants.X_OK).then(
    () => undefined,
    () => "may not be written to",
  );
}

/**
 * Parses a size of memory, as QEMU takes it: bytes, or with K, M, G or T behind it.
 * @throws VfmigError `ERR_VFMIG_CLI_USAGE`
 */
export function memorySize(text: string): string {
  if (/^0*[1-9]\d*[KMGT]$/i.test(text) || (/^\d+$/.test(text) && Number(text) >= 2 ** 20)) {
    return text;
  }
  throw new VfmigError(
    "ERR_VFMIG_CLI_USAGE",
    `--memory takes a size such as 512M or 4G, at least a mebibyte, not "${text}".`,
    { layer: "cli", details: { option: "--memory", given: text } },
  );
}
