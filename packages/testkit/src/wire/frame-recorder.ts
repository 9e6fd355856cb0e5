import { closeSync, constants, fstatSync, openSync, writeSync } from "node:fs";
import { type Clock, type Logger, type Timer, VfmigError } from "@vfmig/core";
import { LINKTYPE_ETHERNET } from "../traffic/pcap.ts";
import { MAX_WIRE_FRAME } from "./messages.ts";

/** Classic pcap, little endian, nanoseconds. */
const MAGIC_NS = 0xa1b2_3c4d;
const FILE_HEADER = 24;
const RECORD_HEADER = 16;
/** Gathered before a write, in bytes, and for how long at most, in milliseconds. */
const GATHERED = 64 * 1024;
const FLUSH_MS = 200;

export interface FrameRecorderOptions {
  readonly path: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Milliseconds since 1970 at `clock.now()` 0. */
  readonly epochMs: number;
  /** Writes to a file and returns how many bytes; a parameter so that tests can fail it. */
  readonly write?: WriteFile;
}

export type WriteFile = (file: number, bytes: Uint8Array, offset: number, length: number) => number;

/** Writes frames to a pcap file, gathered: to the page cache, which does not wait for a disk. */
export class FrameRecorder {
  readonly #options: FrameRecorderOptions;
  readonly #bytes = new Uint8Array(GATHERED + RECORD_HEADER + MAX_WIRE_FRAME);
  readonly #data = new DataView(this.#bytes.buffer);
  readonly #file: number;
  readonly #write: WriteFile;
  #held = 0;
  #timer: Timer | undefined;
  #broken = false;

  /** @throws VfmigError `ERR_VFMIG_PCAP_FILE` */
  constructor(options: FrameRecorderOptions) {
    this.#options = options;
    this.#write = options.write ?? writeSync;
    this.#file = create(options.path);
    const header: readonly (readonly [number, number])[] = [
      [0, MAGIC_NS],
      // Version 2.4.
      [4, 2 | (4 << 16)],
      [16, 262_144],
      [20, LINKTYPE_ETHERNET],
    ];
    for (const [at, value] of header) this.#data.setUint32(at, value, true);
    this.#held = FILE_HEADER;
    this.#flush();
  }

  /** False where the file could not be written before: the rest is not recorded. */
  record(frame: Uint8Array): boolean {
    if (this.#broken) return false;
    const timeMs = this.#options.epochMs + this.#options.clock.now();
    const seconds = Math.floor(timeMs / 1000);
    const at = this.#held;
    this.#data.setUint32(at, seconds, true);
    this.#data.setUint32(at + 4, Math.min(999_999_999, (timeMs - seconds * 1000) * 1e6), true);
    this.#data.setUint32(at + 8, frame.length, true);
    this.#data.setUint32(at + 12, frame.length, true);
    this.#bytes.set(frame, at + RECORD_HEADER);
    this.#held += RECORD_HEADER + frame.length;
    if (this.#held >= GATHERED) this.#flush();
    else this.#timer ??= this.#options.clock.after(FLUSH_MS, () => this.#flush());
    return true;
  }

  close(): void {
    this.#flush();
    closeSync(this.#file);
    this.#broken = true;
  }

  #flush(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    try {
      let written = 0;
      while (written < this.#held && !this.#broken) {
        written += this.#write(this.#file, this.#bytes, written, this.#held - written);
      }
    } catch (error) {
      // A full disk must not stop the device: the file ends here.
      this.#broken = true;
      this.#options.logger.error(`recording to ${this.#options.path} ends`, {
        error: String(error),
      });
    }
    this.#held = 0;
  }
}

/** A pipe with nobody behind it would make this process wait; so files only. */
function create(path: string): number {
  const { O_WRONLY, O_CREAT, O_TRUNC, O_NONBLOCK } = constants;
  let file: number | undefined;
  try {
    file = openSync(path, O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK, 0o600);
    if (fstatSync(file).isFile()) return file;
    throw new Error("it is not a file");
  } catch (cause) {
    if (file !== undefined) closeSync(file);
    throw new VfmigError(
      "ERR_VFMIG_PCAP_FILE",
      `cannot record frames to ${path} (${cause instanceof Error ? cause.message : String(cause)}); name a file in a folder that can be written`,
      { layer: "testkit", details: { path }, cause },
    );
  }
}
