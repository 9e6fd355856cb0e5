import { constants } from "node:fs";
import { access, readFile, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { VfmigError } from "@vfmig/core/errors";

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

/** A file that the command line names. @throws VfmigError `ERR_VFMIG_CLI_FILE` */
export async function bytesOf(file: string): Promise<Uint8Array> {
  try {
    return await readFile(file);
  } catch (error) {
    throw new VfmigError(
      "ERR_VFMIG_CLI_FILE",
      `${file} cannot be read: ${error instanceof Error ? error.message : String(error)}. Check the path.`,
      { layer: "cli", details: { file }, cause: error },
    );
  }
}
