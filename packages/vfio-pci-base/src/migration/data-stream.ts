import { errnoOf, type KernelCalls } from "../kernel-calls.ts";

/** The data descriptor of one session. Closed once nobody reads or writes any more. */
export class DataStream {
  readonly fd: number;
  readonly #calls: KernelCalls;
  #busy = 0;
  #ended = false;
  #closed = false;

  constructor(calls: KernelCalls, fd: number) {
    this.#calls = calls;
    this.fd = fd;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** 0 at the end, and where there is nothing for now (ENOMSG in PRE_COPY; mtty says 0 there too). */
  async read(into: Uint8Array): Promise<number> {
    if (into.length === 0) return 0;
    return this.#use(async () => {
      try {
        const count = await this.#calls.io.readLater(this.fd, into, 0, into.length);
        return Math.max(0, count);
      } catch (error) {
        if (errnoOf(error) === "ENOMSG") return 0;
        throw this.#calls.named("read of migration data", error);
      }
    });
  }

  /** Writes all of it; the driver takes any split. */
  async write(from: Uint8Array): Promise<void> {
    await this.#use(async () => {
      for (let at = 0; at < from.length;) {
        try {
          // oxlint-disable-next-line no-await-in-loop -- a stream has an order
          const count = await this.#calls.io.writeLater(this.fd, from, at, from.length - at);
          at += Math.max(0, count);
          if (count <= 0) throw new Error(`${count} bytes of ${from.length - at} were taken`);
        } catch (error) {
          throw this.#calls.named("write of migration data", error);
        }
      }
    });
  }

  /** The session is over. What still runs ends with an error of the kernel's. */
  end(): void {
    this.#ended = true;
    this.#closeIfIdle();
  }

  async #use<T>(run: () => Promise<T>): Promise<T> {
    this.#busy += 1;
    try {
      return await run();
    } finally {
      this.#busy -= 1;
      if (this.#ended) this.#closeIfIdle();
    }
  }

  #closeIfIdle(): void {
    // A number that is closed under a running call may be somebody else's file by then.
    if (this.#busy > 0 || this.#closed) return;
    this.#closed = true;
    this.#calls.io.close(this.fd);
  }
}
