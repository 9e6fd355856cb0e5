import type { PluginGuard } from "../compose/plugin-guard.ts";
import { VfmigError } from "../errors/vfmig-error.ts";
import type { StateHeader } from "../state/state-header.ts";
import { createStateReader, type StateReader } from "../state/state-reader.ts";
import type { StateFormat } from "../sub-driver/definition.ts";
import type { DeviceDescription, Incompatibility } from "../sub-driver/description.ts";
import type { MigrationOps, StateLoader } from "../sub-driver/facets.ts";
import { messageOf } from "../compose/plugin-guard.ts";

export interface LoadSessionOptions {
  readonly driver: string;
  readonly format: StateFormat;
  readonly ops: MigrationOps;
  readonly guard: PluginGuard;
  /** For each record that the sub-driver takes, in milliseconds. */
  readonly callMs: number;
  readonly compare: (source: DeviceDescription) => Promise<readonly Incompatibility[]>;
}

/** One restoring session. The first error poisons it: nothing that follows can make it good again. */
export class LoadSession {
  readonly #options: LoadSessionOptions;
  readonly #loader: StateLoader;
  readonly #reader: StateReader;
  readonly #ended = new AbortController();
  #tail: Promise<unknown> = Promise.resolve();
  #failure: VfmigError | undefined;
  #settled = false;

  /** @throws VfmigError what the sub-driver's `load()` throws */
  constructor(options: LoadSessionOptions) {
    this.#options = options;
    const { driver, format, ops, guard, callMs } = options;
    const loader = guard.call("load()", () => ops.load());
    if (typeof loader?.record !== "function" || typeof loader.commit !== "function") {
      throw guard.nonsense("load()", loader, "a loader with record(), commit() and abort()");
    }
    this.#loader = loader;
    this.#reader = createStateReader({
      format,
      driver,
      onHeader: (header) => this.#checkSource(header),
      onRecord: (record) =>
        guard.settle(
          `loading a record of type ${record.type}`,
          callMs,
          () => loader.record(record),
          this.#ended.signal,
        ),
    });
  }

  /** Appends bytes, in any split. */
  write(from: Uint8Array): Promise<void> {
    const result = this.#tail.then(() => this.#guarded(() => this.#reader.write(from)));
    this.#tail = result.catch(() => {});
    return result;
  }

  /** Checks that the state is whole and has the sub-driver apply it. */
  async commit(signal: AbortSignal): Promise<void> {
    await this.#tail;
    await this.#guarded(async () => {
      this.#reader.finish();
      this.#settled = true;
      try {
        await this.#loader.commit(signal);
      } catch (error) {
        throw this.#options.guard.named("commit()", error);
      }
    });
  }

  /** Ends the session without a commit; pending writes fail with `reason`. */
  end(reason: VfmigError): void {
    if (this.#ended.signal.aborted) return;
    this.#ended.abort(reason);
    this.#abort();
  }

  async #guarded(run: () => Promise<void>): Promise<void> {
    this.#ended.signal.throwIfAborted();
    if (this.#failure !== undefined) throw this.#poisoned(this.#failure);
    try {
      await run();
    } catch (error) {
      this.#failure = VfmigError.is(error)
        ? error
        : this.#options.guard.named("the restoring session", error);
      this.#abort();
      throw this.#failure;
    }
  }

  #abort(): void {
    if (this.#settled) return;
    this.#settled = true;
    try {
      this.#loader.abort();
    } catch {
      // The session is lost already, and its first error is the one that matters.
    }
  }

  async #checkSource(header: StateHeader): Promise<void> {
    const reasons = await this.#options.compare(header.description);
    if (reasons.length === 0) return;
    const list = reasons.map(({ field, reason }) => `${field}: ${reason}`).join("; ");
    throw new VfmigError(
      "ERR_VFMIG_MIGRATION_INCOMPATIBLE",
      `This device cannot take the state of "${header.device.device}": ${list}.`,
      { layer: this.#options.guard.layer, details: { reasons, errno: "EINVAL" } },
    );
  }

  #poisoned(cause: VfmigError): VfmigError {
    return new VfmigError(
      "ERR_VFMIG_MIGRATION_POISONED",
      `The restoring session failed before, so it takes nothing more: ${messageOf(cause)} ` +
        "Reset the device and start again.",
      { layer: "core", details: { errno: "EINVAL" }, cause },
    );
  }
}
