import type { BaseGrant } from "@vfmig/core";
import type { NativeIo } from "@vfmig/linux";

/** What the host opened for a base, until the base takes it over; disposing it closes what nobody took. */
export interface HeldGrant extends Disposable {
  /** From now on the base closes the descriptors. */
  take(): BaseGrant;
}

export function holdGrant(io: Pick<NativeIo, "close">, grant: BaseGrant): HeldGrant {
  let fds = Object.values(grant.fds);
  return {
    take() {
      fds = [];
      return grant;
    },
    [Symbol.dispose]() {
      for (const fd of fds) io.close(fd);
      fds = [];
    },
  };
}
