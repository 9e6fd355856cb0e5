import { VfmigError } from "@vfmig/core";
import { socketError } from "./check-socket-path.ts";

/**
 * Runs `listen`, and says in whose words a person can use them why nobody can listen at `path`.
 * @throws VfmigError `ERR_VFMIG_HOST_SOCKET`, or what else `listen` throws
 */
export function listening<T>(device: string, path: string, listen: () => T): T {
  try {
    return listen();
  } catch (error) {
    if (!VfmigError.is(error) || error.details["path"] !== path) throw error;
    const why =
      error.details["errno"] === "EADDRINUSE"
        ? "another process listens there. Stop it (another vfmig serve?), or name another path."
        : `${error.message}. Name a path elsewhere.`;
    throw socketError(`The socket of device "${device}"`, path, why, error);
  }
}
