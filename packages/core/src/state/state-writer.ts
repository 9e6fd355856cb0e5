import { encode } from "cborg";
import type { StateFormat } from "../sub-driver/definition.ts";
import type { StateRecord } from "../sub-driver/facets.ts";
import { VfmigError } from "../errors/vfmig-error.ts";
import { encodeFrame, encodePreamble } from "./frame.ts";
import { DEFAULT_STATE_LIMITS, RECORD_TYPE, type StateLimits } from "./layout.ts";
import { encodeHeader, encodeRecord } from "./record-codec.ts";
import type { StateHeader } from "./state-header.ts";

/** A plugin's records, in order. */
export type StateRecords = AsyncIterable<StateRecord> | Iterable<StateRecord>;

export interface StateWriterOptions {
  readonly header: StateHeader;
  readonly format: StateFormat;
  /** The whole session's records. Absent: they are given by `add`, and the end by `end`. */
  readonly records?: StateRecords;
  readonly limits?: Partial<StateLimits>;
}

/**
 * One saving session, pulled by its reader: a record is asked of the plugin only when the bytes before
 * it were read, so that a slow reader costs one encoded record and no more.
 */
export interface StateWriter {
  /**
   * Fills `into` and returns the bytes written. 0: nothing for now, or, after `end`, the end.
   * @throws VfmigError `ERR_VFMIG_STATE_*`; the session is over then. What the plugin throws passes.
   */
  read(into: Uint8Array): Promise<number>;
  /** Appends records, as for PRE_COPY and then STOP_COPY. */
  add(records: StateRecords): void;
  /** No more records follow those added: the end record comes after them. */
  end(): void;
  /** Ends the session; records that were not read are given up. Does nothing the second time. */
  close(): Promise<void>;
  /** Bytes that are encoded and not read yet. */
  readonly pending: number;
  /** True once the last byte of the end record was read. */
  readonly done: boolean;
}

/**
 * Opens a saving session.
 * @throws VfmigError `ERR_VFMIG_STATE_SCHEMA`, `ERR_VFMIG_STATE_PAYLOAD` for a bad header
 * @example
 * const writer = createStateWriter({ header, format, records: [{ type: "queue", value }] });
 * for (let n = await writer.read(chunk); n > 0; n = await writer.read(chunk)) send(chunk.subarray(0, n));
 */
export function createStateWriter(options: StateWriterOptions): StateWriter {
  const writer = new PullWriter(options);
  if (options.records !== undefined) {
    writer.add(options.records);
    writer.end();
  }
  return writer;
}

type RecordIterator = AsyncIterator<StateRecord> | Iterator<StateRecord>;

class PullWriter implements StateWriter {
  readonly #format: StateFormat;
  readonly #limits: StateLimits;
  readonly #sources: StateRecords[] = [];
  #source: RecordIterator | undefined;
  #chunk: Uint8Array;
  #at = 0;
  /** Bytes encoded so far, which is the offset of the next record. */
  #offset: number;
  #index = 1;
  #ended = false;
  #endWritten = false;
  #reading = false;
  #closed = false;
  #failure: { readonly error: unknown } | undefined;

  constructor(options: StateWriterOptions) {
    this.#format = options.format;
    this.#limits = { ...DEFAULT_STATE_LIMITS, ...options.limits };
    const { type, mandatory, payload } = encodeHeader(options.header, this.#limits);
    const preamble = encodePreamble();
    const frame = encodeFrame(0, type, mandatory, payload);
    this.#chunk = new Uint8Array(preamble.length + frame.length);
    this.#chunk.set(preamble);
    this.#chunk.set(frame, preamble.length);
    this.#offset = this.#chunk.length;
  }

  get pending(): number {
    return this.#chunk.length - this.#at;
  }

  get done(): boolean {
    return this.#endWritten && this.pending === 0;
  }

  add(records: StateRecords): void {
    if (this.#ended || this.#closed) throw sessionError("records were added after the end");
    this.#sources.push(records);
  }

  end(): void {
    this.#ended = true;
  }

  async read(into: Uint8Array): Promise<number> {
    if (this.#failure !== undefined) throw poisoned(this.#failure.error);
    if (this.#closed) throw sessionError("a read after the session was closed");
    if (this.#reading) throw sessionError("a read while another read is under way");
    this.#reading = true;
    try {
      return await this.#fill(into);
    } catch (error) {
      this.#failure = { error };
      throw error;
    } finally {
      this.#reading = false;
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#chunk = new Uint8Array(0);
    this.#at = 0;
    this.#sources.length = 0;
    const source = this.#source;
    this.#source = undefined;
    if (source?.return === undefined) return;
    const returned = Promise.resolve(source.return());
    // A generator answers `return` only when its pending step has settled, which may be never.
    if (this.#reading) returned.catch(() => {});
    else await returned;
  }

  async #fill(into: Uint8Array): Promise<number> {
    let filled = 0;
    while (filled < into.length) {
      if (this.pending === 0 && !(await this.#nextChunk())) break;
      const count = Math.min(into.length - filled, this.pending);
      into.set(this.#chunk.subarray(this.#at, this.#at + count), filled);
      this.#at += count;
      filled += count;
    }
    return filled;
  }

  /** False where nothing is there for now, or ever. */
  async #nextChunk(): Promise<boolean> {
    const step = await this.#nextStep();
    if (this.#closed) throw sessionError("the session was closed during a read");
    if (step !== undefined) {
      const { type, mandatory, payload } = encodeRecord(
        step.value,
        this.#format,
        this.#limits,
        this.#index,
        this.#offset,
      );
      this.#put(encodeFrame(this.#index, type, mandatory, payload));
      return true;
    }
    if (!this.#ended || this.#endWritten) return false;
    const counts = encode({ bytes: this.#offset, records: this.#index });
    this.#put(encodeFrame(this.#index, RECORD_TYPE.end, true, counts));
    this.#endWritten = true;
    return true;
  }

  /** A step and not its value, which a faulty plugin may leave undefined: that is no end. */
  async #nextStep(): Promise<IteratorYieldResult<StateRecord> | undefined> {
    for (;;) {
      this.#source ??= iteratorOf(this.#sources.shift());
      if (this.#source === undefined) return undefined;
      const step = await this.#source.next();
      if (step.done !== true) return step;
      this.#source = undefined;
    }
  }

  #put(frame: Uint8Array): void {
    const { records, streamBytes } = this.#limits;
    if (this.#index + 1 > records || this.#offset + frame.length > streamBytes) {
      throw new VfmigError(
        "ERR_VFMIG_STATE_LIMIT",
        `Device state, record ${this.#index} at offset ${this.#offset}: the stream would pass ` +
          `${records} records or ${streamBytes} bytes. Save less, or raise the limits on both sides`,
        { layer: "core", details: { record: this.#index, records, streamBytes } },
      );
    }
    this.#chunk = frame;
    this.#at = 0;
    this.#offset += frame.length;
    this.#index += 1;
  }
}

function iteratorOf(records: StateRecords | undefined): RecordIterator | undefined {
  if (records === undefined) return undefined;
  return Symbol.asyncIterator in records
    ? records[Symbol.asyncIterator]()
    : records[Symbol.iterator]();
}

function sessionError(what: string): VfmigError {
  return new VfmigError("ERR_VFMIG_STATE_SESSION", `State writer: ${what}`, { layer: "core" });
}

function poisoned(cause: unknown): VfmigError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new VfmigError("ERR_VFMIG_STATE_POISONED", `State writer: it failed before: ${why}`, {
    layer: "core",
    cause,
  });
}
