import { VfmigError, type BaseGrant } from "@vfmig/core";
import type { NativeIo } from "@vfmig/linux";

/** What goes with a request whose descriptors go over the channel. */
export interface SentGrant {
  /** Names of the descriptors, in their order. */
  readonly names: readonly string[];
  readonly facts: BaseGrant["facts"];
}

/** The host's end of a socket by which a device's process, while it runs, gets descriptors of further devices. */
export interface GrantChannel extends Disposable {
  /** The other end, which the process inherits. */
  readonly remote: number;
  /** Closes the host's copy of the other end. */
  inherited(): void;
  /**
   * Puts the descriptors on the way; the request that needs them has to follow at once.
   * @throws VfmigError `ERR_VFMIG_SYSTEM_CALL`, `ERR_VFMIG_HOST_STANDBY`
   */
  send(grant: BaseGrant): SentGrant;
}

export function openGrantChannel(io: NativeIo): GrantChannel {
  const [local, remote] = io.socketPair();
  let open = [local, remote];
  const close = (fd: number): void => {
    if (!open.includes(fd)) return;
    open = open.filter((each) => each !== fd);
    io.close(fd);
  };
  return {
    remote,
    inherited: () => close(remote),
    send({ fds, facts }) {
      const names = Object.keys(fds);
      // A byte for each grant, so that the descriptors of two never come in one.
      if (io.send(local, Uint8Array.of(names.length), 0, 1, Object.values(fds)) !== 1) {
        throw lost("the device's process does not take what was sent before");
      }
      return { names, facts };
    },
    [Symbol.dispose]() {
      for (const fd of [local, remote]) close(fd);
    },
  };
}

/**
 * Takes the descriptors of the next grant, which are there before the request that names them.
 * @throws VfmigError `ERR_VFMIG_SYSTEM_CALL`, `ERR_VFMIG_HOST_STANDBY`; nothing stays open then
 */
export function receiveGrant(
  io: NativeIo,
  channel: number,
  { names, facts }: SentGrant,
): BaseGrant {
  const fds: number[] = [];
  const count = new Uint8Array(1);
  const received = io.receive(channel, count, 0, 1, fds);
  if (received === 1 && count[0] === names.length && fds.length === names.length) {
    return { fds: Object.fromEntries(fds.map((fd, i) => [names[i] ?? "", fd])), facts };
  }
  for (const fd of fds) io.close(fd);
  throw lost(`of ${names.length} descriptors ${fds.length} came`);
}

function lost(why: string): VfmigError {
  return new VfmigError(
    "ERR_VFMIG_HOST_STANDBY",
    `What the host opened for the device did not reach the process that is to use it: ${why}. Nothing was changed; look for a limit of open files (ulimit -n), and ask again.`,
    { layer: "host" },
  );
}
