import type { StateFormat } from "../sub-driver/definition.ts";
import type { StateRecord } from "../sub-driver/facets.ts";
import { VfmigError } from "../errors/vfmig-error.ts";
import type { Frame } from "./frame.ts";
import { FrameReader } from "./frame-reader.ts";
import { DEFAULT_STATE_LIMITS, RECORD_TYPE, type StateLimits } from "./layout.ts";
import { checkHeader, decodeHeader, decodeRecord } from "./record-codec.ts";
import { recordTypeName } from "./record-place.ts";
import type { StateHeader } from "./state-header.ts";

export interface StateReaderOptions {
  readonly format: StateFormat;
  /** Name of the driver that must have written the state. Absent: any. */
  readonly driver?: string;
  readonly limits?: Partial<StateLimits>;
  /** Takes the header, before any record. What it throws ends the session. */
  onHeader(header: StateHeader): void | Promise<void>;
  /** Takes each record, validated, in order; a later one of a type replaces the earlier. */
  onRecord(record: StateRecord): void | Promise<void>;
}

/** One restoring session. The first error poisons it. */
export interface StateReader {
  /**
   * Takes the next bytes, in any split; `bytes` stay the caller's and unchanged until it settles.
   * @throws VfmigError `ERR_VFMIG_STATE_*`, naming the record. What the callbacks throw passes.
   */
  write(bytes: Uint8Array): Promise<void>;
  /**
   * Says that no more bytes come.
   * @throws VfmigError `ERR_VFMIG_STATE_TRUNCATED`, `ERR_VFMIG_STATE_POISONED`, `ERR_VFMIG_STATE_SESSION`
   */
  finish(): void;
  /** True once the end record was read and found right. */
  readonly complete: boolean;
}

/**
 * Opens a restoring session.
 *
 * Memory: one payload of at most `limits.recordBytes`, at most twice what has arrived of it, and its
 * decoded values, at most `limits.items`.
 * @example
 * const reader = createStateReader({ format, onHeader() {}, onRecord: (record) => loader.record(record) });
 * for await (const chunk of socket) await reader.write(chunk);
 * reader.finish();
 */
export function createStateReader(options: StateReaderOptions): StateReader {
  return new PushReader(options);
}

class PushReader implements StateReader {
  readonly #options: StateReaderOptions;
  readonly #limits: StateLimits;
  readonly #frames: FrameReader;
  #writing = false;
  #finished = false;
  #failure: { readonly error: unknown } | undefined;

  constructor(options: StateReaderOptions) {
    this.#options = options;
    this.#limits = { ...DEFAULT_STATE_LIMITS, ...options.limits };
    this.#frames = new FrameReader(this.#limits, (type) => recordTypeName(type, options.format));
  }

  get complete(): boolean {
    return this.#frames.complete && this.#failure === undefined && !this.#writing;
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#enter("a write");
    if (this.#finished) throw sessionError("a write after the end");
    this.#writing = true;
    try {
      this.#frames.feed(bytes);
      for (let frame = this.#frames.next(); frame !== undefined; frame = this.#frames.next()) {
        await this.#take(frame);
      }
    } catch (error) {
      this.#failure = { error };
      throw error;
    } finally {
      this.#writing = false;
    }
  }

  finish(): void {
    this.#enter("the end");
    this.#finished = true;
    try {
      this.#frames.finish();
    } catch (error) {
      this.#failure = { error };
      throw error;
    }
  }

  #enter(what: string): void {
    if (this.#failure !== undefined) throw poisoned(this.#failure.error);
    if (this.#writing) throw sessionError(`${what} while a write is under way`);
  }

  async #take(frame: Frame): Promise<void> {
    if (frame.type === RECORD_TYPE.end) return;
    const { format, driver } = this.#options;
    if (frame.type === RECORD_TYPE.header) {
      const header = decodeHeader(frame, this.#limits);
      checkHeader(header, format, driver);
      await this.#options.onHeader(header);
      return;
    }
    const record = decodeRecord(frame, format, this.#limits);
    if (record !== undefined) await this.#options.onRecord(record);
  }
}

function sessionError(what: string): VfmigError {
  return new VfmigError("ERR_VFMIG_STATE_SESSION", `State reader: ${what}`, { layer: "core" });
}

function poisoned(cause: unknown): VfmigError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new VfmigError("ERR_VFMIG_STATE_POISONED", `State reader: it failed before: ${why}`, {
    layer: "core",
    cause,
  });
}
