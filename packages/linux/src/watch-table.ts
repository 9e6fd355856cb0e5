import type { Watch } from "./native-io.ts";

/** Told what a watch's callback threw; the watch has been disposed. */
export type OnWatchError = (error: unknown, fd: number) => void;

/** Watches by descriptor, for both implementations. */
export class WatchTable {
  readonly #watches = new Map<number, Set<Watch>>();
  readonly #onWatchError: OnWatchError | undefined;

  constructor(onWatchError: OnWatchError | undefined) {
    this.#onWatchError = onWatchError;
  }

  add(watch: Watch): void {
    const others = this.#watches.get(watch.fd);
    if (others === undefined) this.#watches.set(watch.fd, new Set([watch]));
    else others.add(watch);
  }

  delete(watch: Watch): void {
    const others = this.#watches.get(watch.fd);
    others?.delete(watch);
    if (others?.size === 0) this.#watches.delete(watch.fd);
  }

  /** Disposes every watch of `fd`. */
  end(fd: number): void {
    for (const watch of this.#watches.get(fd) ?? []) watch[Symbol.dispose]();
  }

  /** Hands `error` to the owner, or throws it where the process will hear of it. */
  report(error: unknown, fd: number): void {
    if (this.#onWatchError !== undefined) {
      this.#onWatchError(error, fd);
      return;
    }
    setImmediate(() => {
      throw error;
    });
  }
}
