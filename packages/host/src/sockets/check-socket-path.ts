import { constants } from "node:fs";
import { access, lstat, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { VfmigError } from "@vfmig/core/errors";

/** Longest path of a unix socket in bytes: `sun_path` is 108 and ends with a NUL (`unix(7)`). */
const PATH_BYTES = 107;

/**
 * Says why no socket could be made at `path`, before anything is opened for it. A socket that is there is left
 * to whoever listens: it may be one that a killed process has left.
 *
 * @param what whose path it is, such as `The socket of device "vf0"`
 * @param path absolute
 * @throws VfmigError `ERR_VFMIG_HOST_SOCKET`
 */
export async function checkSocketPath(what: string, path: string): Promise<void> {
  const why = tooLong(path) ?? (await wrongFolder(dirname(path))) ?? (await inTheWay(path));
  if (why !== undefined) throw socketError(what, path, why);
}

/** @param why a clause, and what to do as a sentence */
export function socketError(what: string, path: string, why: string, cause?: unknown): VfmigError {
  return new VfmigError("ERR_VFMIG_HOST_SOCKET", `${what} cannot be made at ${path}: ${why}`, {
    layer: "host",
    details: { path },
    cause,
  });
}

function tooLong(path: string): string | undefined {
  const bytes = Buffer.byteLength(path);
  if (bytes <= PATH_BYTES) return undefined;
  return `the path has ${bytes} bytes, and a unix socket's may have ${PATH_BYTES}. Name a shorter one, such as /run/vf0.sock; where it lies in the temporary folder, set TMPDIR to one nearer to the root.`;
}

async function wrongFolder(folder: string): Promise<string | undefined> {
  const found = await stat(folder).catch((error: unknown) => error);
  if (found instanceof Error) {
    const code = "code" in found ? found.code : undefined;
    if (code === "ENOENT") {
      return `the folder ${folder} is not there. Make it (mkdir -p ${folder}), or name a path elsewhere.`;
    }
    if (code === "ENOTDIR") return `part of ${folder} is no folder. Name a path elsewhere.`;
    return `the folder ${folder} cannot be looked into (${found.message}). Give this user access, or name a path elsewhere.`;
  }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- errors are handled above
  if (!(found as Awaited<ReturnType<typeof stat>>).isDirectory()) {
    return `${folder} is no folder. Name a path elsewhere.`;
  }
  return access(folder, constants.W_OK | constants.X_OK).then(
    () => undefined,
    (error: unknown) =>
      `the folder ${folder} may not be written to by this user (uid ${String(process.getuid?.())}, ${codeOf(error)}). Change its owner or mode, or name a path elsewhere.`,
  );
}

async function inTheWay(path: string): Promise<string | undefined> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined || found.isSocket()) return undefined;
  const kind = found.isDirectory()
    ? "a folder"
    : found.isSymbolicLink()
      ? "a symbolic link"
      : found.isFile()
        ? "a file"
        : "something that is no socket";
  return `${kind} is there already, and is not overwritten. Remove it, or name another path.`;
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}
