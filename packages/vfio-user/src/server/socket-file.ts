import { lstatSync, unlinkSync } from "node:fs";
import { VfmigError } from "@vfmig/core";
import type { NativeIo } from "@vfmig/linux";

/** A listening socket and the file that stands for it. */
export interface Listener {
  readonly fd: number;
  /** Closes the socket and removes its file, if that is still the same one. */
  close(): void;
}

/**
 * Listens on `path`. A socket file that a dead server has left is replaced; one on which somebody
 * listens is not.
 * @throws VfmigError `ERR_VFMIG_SYSTEM_CALL`
 */
export function listenOn(io: NativeIo, path: string): Listener {
  const fd = listenOverStale(io, path);
  const inode = socketInode(path);
  return {
    fd,
    close() {
      io.close(fd);
      if (inode !== undefined && socketInode(path) === inode) unlinkSync(path);
    },
  };
}

function listenOverStale(io: NativeIo, path: string): number {
  try {
    return io.listen(path);
  } catch (error) {
    const left = socketInode(path);
    if (!failedWith(error, "EADDRINUSE") || left === undefined || answers(io, path)) throw error;
    unlinkSync(path);
    return io.listen(path);
  }
}

/** Only a refusal proves that nobody listens. */
function answers(io: NativeIo, path: string): boolean {
  try {
    io.close(io.connect(path));
    return true;
  } catch (error) {
    return !failedWith(error, "ECONNREFUSED");
  }
}

function failedWith(error: unknown, errno: string): boolean {
  return VfmigError.is(error) && error.details["errno"] === errno;
}

function socketInode(path: string): bigint | undefined {
  const status = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  return status?.isSocket() === true ? status.ino : undefined;
}
