import { VfmigError, type IrqEvent } from "@vfmig/core";
import type { NativeIo } from "./native-io.ts";

/** Owner of one eventfd: an interrupt's other end, or a way to wake an event loop. */
export class EventFd implements IrqEvent, Disposable {
  readonly #io: NativeIo;
  readonly #fd: number;
  #open = true;

  private constructor(io: NativeIo, fd: number) {
    this.#io = io;
    this.#fd = fd;
  }

  /** A new eventfd. */
  static create(io: NativeIo): EventFd {
    return new EventFd(io, io.eventfd());
  }

  /**
   * Takes over `fd`, which a peer may have sent: checks that it is an eventfd, and makes it non-blocking
   * so that a full counter cannot stop this thread. On failure `fd` stays the caller's.
   * @throws VfmigError `ERR_VFMIG_NOT_EVENTFD`, `ERR_VFMIG_SYSTEM_CALL`
   */
  static adopt(io: NativeIo, fd: number): EventFd {
    const { kind } = io.status(fd);
    if (kind !== "eventfd") {
      throw new VfmigError(
        "ERR_VFMIG_NOT_EVENTFD",
        `fd ${fd} is a ${kind}, an interrupt needs an eventfd`,
        { layer: "linux", details: { fd, kind } },
      );
    }
    io.setNonBlocking(fd);
    return new EventFd(io, fd);
  }

  /** The descriptor; it stays this object's. */
  get fd(): number {
    return this.#fd;
  }

  /** Adds 1 to the counter; does nothing once disposed. Never throws, as {@link IrqEvent} promises. */
  signal(): void {
    if (!this.#open) return;
    try {
      this.#io.signalEventfd(this.#fd);
    } catch {
      // Only a descriptor that somebody else has closed gets here. An interrupt has nobody to tell.
    }
  }

  /** How often it was signalled since the last call. */
  drain(): number {
    return this.#open ? this.#io.drainEventfd(this.#fd) : 0;
  }

  [Symbol.dispose](): void {
    if (!this.#open) return;
    this.#open = false;
    this.#io.close(this.#fd);
  }
}
