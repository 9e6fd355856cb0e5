import { chmodSync, lstatSync, rmSync, type Stats } from "node:fs";
import { type Clock, type Logger, silentLogger, systemClock, VfmigError } from "@vfmig/core";
import { createLinuxIo, type NativeIo } from "@vfmig/linux";
import { type CountingPort, PacketPort } from "./packet-port.ts";

export interface DgramPortOptions {
  /** Path of this end's socket, at most 107 bytes; the other end sends there. */
  readonly local: string;
  /** Path of the other end's socket. It need not exist yet, and may come and go. */
  readonly remote: string;
  readonly io?: NativeIo;
  readonly clock?: Clock;
  readonly logger?: Logger;
}

/**
 * A wire over unix datagrams, one frame in each, as QEMU speaks it:
 * `-netdev dgram,id=n,local.type=unix,local.path=REMOTE,remote.type=unix,remote.path=LOCAL`.
 *
 * A socket that a dead process left at `local` is replaced, one in use is not. Frames that nobody takes
 * are dropped and counted.
 * @throws VfmigError `ERR_VFMIG_WIRE_PORT` where the socket cannot be opened
 */
export function openDgramPort(options: DgramPortOptions): CountingPort {
  const { local, remote, clock = systemClock, logger = silentLogger } = options;
  const io = options.io ?? createLinuxIo();
  const { fd, file } = bind(io, local, remote);
  return new PacketPort(
    { io, clock, logger, name: `dgram ${local}` },
    {
      fd,
      read: (into) => io.receiveDatagram(fd, into, 0, into.length),
      write: (from, offset, length) => io.sendDatagram(fd, from, offset, length, remote),
      close() {
        io.close(fd);
        removeOwn(local, file);
      },
    },
  );
}

interface Bound {
  readonly fd: number;
  /** The socket's file, as it was when it was made; absent where the system is a fake. */
  readonly file: Stats | undefined;
}

function bind(io: NativeIo, local: string, remote: string): Bound {
  if (local === remote) throw cannotOpen(local, "it is its own other end, so it would hear itself");
  let fd: number | undefined;
  try {
    fd = bindOrReplace(io, local);
    const file = lstatSync(local, { throwIfNoEntry: false });
    // Whoever can write to it can put any frame into the device: this user's processes only.
    if (file !== undefined) chmodSync(local, 0o600);
    return { fd, file };
  } catch (cause) {
    if (fd !== undefined) io.close(fd);
    throw cannotOpen(local, "remove what is there, or choose another path", cause);
  }
}

function bindOrReplace(io: NativeIo, path: string): number {
  try {
    return io.datagramSocket(path);
  } catch (error) {
    if (!failedWith(error, "EADDRINUSE") || !isDead(io, path)) throw error;
    rmSync(path, { force: true });
    return io.datagramSocket(path);
  }
}

/** True where `path` is a socket that no process has open any more. */
function isDead(io: NativeIo, path: string): boolean {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return false;
  const probe = io.datagramSocket();
  try {
    io.connectDatagram(probe, path);
    return false;
  } catch (error) {
    return failedWith(error, "ECONNREFUSED");
  } finally {
    io.close(probe);
  }
}

/** Another process may have put its own socket there meanwhile. */
function removeOwn(path: string, own: Stats | undefined): void {
  const now = lstatSync(path, { throwIfNoEntry: false });
  if (own !== undefined && now?.ino === own.ino && now.dev === own.dev) {
    rmSync(path, { force: true });
  }
}

function failedWith(error: unknown, errno: string): boolean {
  return VfmigError.is(error) && error.details["errno"] === errno;
}

function cannotOpen(path: string, why: string, cause?: unknown): VfmigError {
  const reason = VfmigError.is(cause) ? ` (${cause.message})` : "";
  return new VfmigError(
    "ERR_VFMIG_WIRE_PORT",
    `cannot open a wire of datagrams at ${path}${reason}: ${why}`,
    { layer: "testkit", details: { path }, cause },
  );
}
