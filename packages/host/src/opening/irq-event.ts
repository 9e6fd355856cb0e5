import type { IrqEvent } from "@vfmig/core";
import { EventFd, type NativeIo } from "@vfmig/linux";

/**
 * An event for a base of either kind: one in this process calls it, and one that hands it to a kernel asks
 * for its eventfd, which is made then and watched in the event loop.
 */
export function createIrqEvent(io: NativeIo, onSignal: () => void): IrqEvent & Disposable {
  let made: Disposable | undefined;
  let event: EventFd | undefined;
  return {
    get fd() {
      if (event === undefined) {
        const created = EventFd.create(io);
        event = created;
        made = io.watch(created.fd, () => {
          if (created.drain() > 0) onSignal();
        });
      }
      return event.fd;
    },
    signal: onSignal,
    [Symbol.dispose]() {
      made?.[Symbol.dispose]();
      event?.[Symbol.dispose]();
    },
  };
}
