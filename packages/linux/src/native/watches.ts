import type { Watch } from "../native-io.ts";
import { systemCallError } from "../system-call-error.ts";
import { WatchTable, type OnWatchError } from "../watch-table.ts";
import * as abi from "./abi.ts";
import { duplicate } from "./files.ts";
import type { Libc, PollHandle } from "./libc.ts";
import { createScratch } from "./scratch.ts";

/**
 * A watch polls a duplicate of its own. So two watches of one descriptor cannot meet in the event loop,
 * which would end the process, and no close of the caller's can pull the descriptor from under the loop.
 */
class LinuxWatch implements Watch {
  readonly fd: number;
  readonly #own: number;
  readonly #libc: Libc;
  readonly #table: WatchTable;
  readonly #onReadable: () => void;
  #handle: PollHandle | undefined;

  constructor(libc: Libc, table: WatchTable, fd: number, own: number, onReadable: () => void) {
    this.fd = fd;
    this.#own = own;
    this.#libc = libc;
    this.#table = table;
    this.#onReadable = onReadable;
    // The handle stops silently when it is collected. The loop holds this function, the function holds
    // the watch, and the watch holds the handle: together they live until `dispose`.
    this.#handle = libc.poll(own, { readable: true }, this.#onPoll);
    table.add(this);
  }

  readonly #onPoll = (status: number): void => {
    try {
      this.#onReadable();
    } catch (error) {
      // Thrown into the loop it would vanish, and the descriptor, still readable, spin for ever.
      this[Symbol.dispose]();
      this.#table.report(error, this.fd);
    }
    // The loop reports an error on the descriptor as a negative status and stops polling, although a
    // socket may well have bytes to read behind it.
    if (status < 0) this.#handle?.start({ readable: true }, this.#onPoll);
  };

  [Symbol.dispose](): void {
    const handle = this.#handle;
    if (handle === undefined) return;
    this.#handle = undefined;
    this.#table.delete(this);
    handle.close();
    this.#libc.close(this.#own);
  }
}

/** Watches of one {@link NativeIo}; `end` disposes those of a descriptor that is about to close. */
export interface Watches {
  watch(fd: number, onReadable: () => void): Watch;
  end(fd: number): void;
}

export function createWatches(libc: Libc, onWatchError: OnWatchError | undefined): Watches {
  const table = new WatchTable(onWatchError);
  const event = createScratch(libc, abi.EPOLL_EVENT_SIZE);
  event.words[0] = abi.POLLIN;

  /** Asks the kernel first: koffi ends the process for a descriptor that cannot be polled. */
  function checkPollable(own: number, fd: number): void {
    const epoll = libc.epoll_create1(abi.EPOLL_CLOEXEC);
    if (epoll < 0) throw systemCallError("epoll_create1", libc.errno(), { fd });
    const result = libc.epoll_ctl(epoll, abi.EPOLL_CTL_ADD, own, event.address);
    const errno = result < 0 ? libc.errno() : 0;
    libc.close(epoll);
    if (result < 0) throw systemCallError("epoll_ctl", errno, { fd });
  }

  return {
    watch(fd, onReadable) {
      const own = duplicate(libc, fd);
      try {
        checkPollable(own, fd);
        return new LinuxWatch(libc, table, fd, own, onReadable);
      } catch (error) {
        libc.close(own);
        throw error;
      }
    },
    end: (fd) => table.end(fd),
  };
}
