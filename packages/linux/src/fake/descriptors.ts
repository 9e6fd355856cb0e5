import { checkFd } from "../checks.ts";
import { ERRNO } from "../errno.ts";
import { systemCallError } from "../system-call-error.ts";
import type { OpenFile } from "./open-file.ts";

/** Descriptors of the fake start here, so that one used by mistake as a real one fails. */
const FIRST_FD = 1_000_000;

/** The table of open descriptors, and the count of references to each file. */
export class Descriptors {
  readonly #files = new Map<number, OpenFile>();
  readonly #references = new Map<OpenFile, number>();
  // Numbers are not used twice: a use after close always fails.
  #next = FIRST_FD;
  readonly #names = new WeakMap<OpenFile, string>();
  #nextName = 1;

  get count(): number {
    return this.#files.size;
  }

  open(file: OpenFile): number {
    this.hold(file);
    const fd = this.#next++;
    this.#files.set(fd, file);
    return fd;
  }

  close(fd: number): void {
    const file = this.get("close", fd);
    this.#files.delete(fd);
    this.release(file);
  }

  get(call: string, fd: number): OpenFile {
    checkFd(call, fd);
    const file = this.#files.get(fd);
    if (file === undefined) throw systemCallError(call, ERRNO["EBADF"] ?? 9, { fd });
    return file;
  }

  /** Names the file behind `fd`; two files never have the same name. */
  identify(call: string, fd: number): string {
    const file = this.get(call, fd);
    let name = this.#names.get(file);
    if (name === undefined) this.#names.set(file, (name = `fake:${this.#nextName++}`));
    return name;
  }

  /** Keeps `file` open without a descriptor: in a message, a mapping or a watch. */
  hold(file: OpenFile): void {
    this.#references.set(file, (this.#references.get(file) ?? 0) + 1);
  }

  release(file: OpenFile): void {
    const left = (this.#references.get(file) ?? 1) - 1;
    if (left > 0) {
      this.#references.set(file, left);
      return;
    }
    this.#references.delete(file);
    file.closed();
  }
}
