import { readFile } from "node:fs/promises";
import { VfmigError } from "@vfmig/core";

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
