import { VfmigError } from "@vfmig/core";
import { errnoName } from "./errno.ts";

/** What the usual errnos mean to somebody who runs vfmig. */
const HINTS: Readonly<Record<string, string>> = {
  EADDRINUSE: "remove the socket file if no process listens on it",
  EAGAIN: "the server has too many connections to accept, try again",
  EBUSY: "another process uses it",
  EBADF: "the descriptor is closed or was never open",
  ECONNREFUSED: "nothing listens there",
  EACCES: "check the permissions of the path",
  EMFILE: "raise the limit of open files of this process",
  ENFILE: "the system has no more open files",
  ENOENT: "check that the path exists",
  ENOMEM: "free memory, or raise the limit of locked or mapped memory",
  ENOTSOCK: "the descriptor is no socket",
  EPERM: "this kind of file does not allow it",
  EPIPE: "the peer has gone",
};

/**
 * The error of a failed system call.
 *
 * @param call Name of the call, as its manual page has it.
 * @param errno Errno right after the call.
 * @param where What it was called on: an fd, a path, sizes.
 */
export function systemCallError(
  call: string,
  errno: number,
  where: Readonly<Record<string, unknown>>,
): VfmigError {
  const name = errnoName(errno);
  const on = Object.entries(where)
    .map(([key, value]) => `${key} ${String(value)}`)
    .join(", ");
  const hint = HINTS[name];
  return new VfmigError(
    "ERR_VFMIG_SYSTEM_CALL",
    `${call}(${on}) failed with ${name}${hint === undefined ? "" : `: ${hint}`}`,
    { layer: "linux", details: { call, errno: name, errnoNumber: errno, ...where } },
  );
}
