import type { Clock } from "@vfmig/core";
import type { Watch } from "../native-io.ts";
import type { WatchTable } from "../watch-table.ts";
import type { Descriptors } from "./descriptors.ts";
import type { OpenFile } from "./open-file.ts";

/** Calls back in later turns while the file is readable, as a level-triggered poll does. */
export class FakeWatch implements Watch {
  readonly fd: number;
  readonly #file: OpenFile;
  readonly #descriptors: Descriptors;
  readonly #table: WatchTable;
  readonly #clock: Pick<Clock, "soon">;
  readonly #onReadable: () => void;
  #active = true;
  #due = false;

  constructor(
    parts: { descriptors: Descriptors; table: WatchTable; clock: Pick<Clock, "soon"> },
    fd: number,
    file: OpenFile,
    onReadable: () => void,
  ) {
    this.fd = fd;
    this.#file = file;
    this.#descriptors = parts.descriptors;
    this.#table = parts.table;
    this.#clock = parts.clock;
    this.#onReadable = onReadable;
    this.#descriptors.hold(file);
    this.#table.add(this);
    file.changed.add(this.#onChange);
    this.#onChange();
  }

  readonly #onChange = (): void => {
    if (this.#due || !this.#active || !this.#file.readable()) return;
    this.#due = true;
    this.#clock.soon(this.#run);
  };

  readonly #run = (): void => {
    this.#due = false;
    if (!this.#active || !this.#file.readable()) return;
    try {
      this.#onReadable();
    } catch (error) {
      this[Symbol.dispose]();
      this.#table.report(error, this.fd);
    }
    this.#onChange();
  };

  [Symbol.dispose](): void {
    if (!this.#active) return;
    this.#active = false;
    this.#file.changed.delete(this.#onChange);
    this.#table.delete(this);
    this.#descriptors.release(this.#file);
  }
}
