import type { PluginGuard } from "../compose/plugin-guard.ts";
import type { VfmigError } from "../errors/vfmig-error.ts";
import type { StateHeader } from "../state/state-header.ts";
import { createStateWriter, type StateRecords, type StateWriter } from "../state/state-writer.ts";
import type { StateFormat } from "../sub-driver/definition.ts";
import type { MigrationOps, StateRecord } from "../sub-driver/facets.ts";

export interface SaveSessionOptions {
  readonly header: StateHeader;
  readonly format: StateFormat;
  readonly ops: MigrationOps;
  readonly guard: PluginGuard;
  /** For each record that the sub-driver gives, in milliseconds. */
  readonly callMs: number;
  /** True where the session opens before the stop. */
  readonly precopy: boolean;
}

/** One saving session: the sub-driver's records, pulled as the user reads. */
export class SaveSession {
  readonly #options: SaveSessionOptions;
  readonly #writer: StateWriter;
  readonly #ended = new AbortController();
  #tail: Promise<unknown> = Promise.resolve();
  #drained = false;

  /** @throws VfmigError `ERR_VFMIG_STATE_*` for a description that cannot be written */
  constructor(options: SaveSessionOptions) {
    this.#options = options;
    const { header, format, ops } = options;
    this.#writer = createStateWriter({ header, format });
    const early = ops.savePrecopy?.bind(ops);
    if (!options.precopy) this.enterFinal();
    else if (early !== undefined) this.#writer.add(this.#records("savePrecopy", early));
  }

  /** True once all that could go before the stop was read. */
  get drained(): boolean {
    return this.#drained;
  }

  /** The device has stopped: its final records follow, then the end. */
  enterFinal(): void {
    const { ops } = this.#options;
    this.#writer.add(this.#records("save", () => ops.save()));
    this.#writer.end();
  }

  /** Bytes read; 0: nothing for now, or, after {@link SaveSession.enterFinal}, the end. */
  read(into: Uint8Array): Promise<number> {
    const result = this.#tail.then(() => this.#read(into));
    this.#tail = result.catch(() => {});
    return result;
  }

  /** Ends the session; a pending read fails with `reason`. */
  async end(reason: VfmigError): Promise<void> {
    if (this.#ended.signal.aborted) return;
    this.#ended.abort(reason);
    try {
      await this.#writer.close();
    } catch (error) {
      throw this.#options.guard.named("the end of its records", error);
    }
  }

  async #read(into: Uint8Array): Promise<number> {
    this.#ended.signal.throwIfAborted();
    const count = await this.#writer.read(into);
    if (count === 0 && into.length > 0) this.#drained = true;
    return count;
  }

  /** The sub-driver's records, each bounded in time and named when it fails. */
  async *#records(what: string, open: () => StateRecords): AsyncGenerator<StateRecord, void> {
    const { guard, callMs } = this.#options;
    const records = guard.call(`${what}()`, () => iterate(open()));
    let finished = false;
    try {
      for (;;) {
        const step = await guard.settle(
          `a record of ${what}()`,
          callMs,
          () => records.next(),
          this.#ended.signal,
        );
        if (step.done === true) {
          finished = true;
          return;
        }
        yield this.#checked(what, step.value);
      }
    } finally {
      if (!finished) this.#giveUp(what, records);
    }
  }

  /** Tells the sub-driver that no one reads on; it may not answer, so nothing waits for it. */
  #giveUp(what: string, records: AsyncIterator<StateRecord> | Iterator<StateRecord>): void {
    const { guard, callMs } = this.#options;
    const returned = guard.settle(`the end of ${what}()`, callMs, () => records.return?.());
    returned.catch(() => {});
  }

  #checked(what: string, record: StateRecord): StateRecord {
    const given: unknown = record;
    if (typeof given === "object" && given !== null && typeof record.type === "string") {
      return record;
    }
    throw this.#options.guard.nonsense(`${what}()`, given, "a record with a type");
  }
}

function iterate(records: StateRecords): AsyncIterator<StateRecord> | Iterator<StateRecord> {
  return Symbol.asyncIterator in records
    ? records[Symbol.asyncIterator]()
    : records[Symbol.iterator]();
}
