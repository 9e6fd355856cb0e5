import {
  checkTarget,
  isSaving,
  migrationPath,
  MIGRATION_STATE,
  type Logger,
  type MigrationCapabilities,
  type MigrationFacet,
  type MigrationState,
  type PrecopyInfo,
  type VfmigError,
} from "@vfmig/core";
import type { Features } from "../device/features.ts";
import { baseFault, refusedWith, type KernelCalls } from "../kernel-calls.ts";
import { FEATURE, MIGRATION_DATA } from "../uapi/commands.ts";
import {
  FEATURE_HEAD,
  MIG_STATE_BYTES,
  MIGRATION_FLAG,
  PRECOPY,
  readMigrationState,
  readPrecopyInfo,
} from "../uapi/feature.ts";
import { sized, wide } from "../uapi/struct.ts";
import { DataStream } from "./data-stream.ts";

const STATES: ReadonlyMap<number, MigrationState> = new Map(
  Object.entries(MIGRATION_STATE).map(([name, value]) => [value, name as MigrationState]),
);

/**
 * The migration of a kernel variant driver, passed on. What kernels get wrong is caught before they see
 * it: an arc from STOP_COPY back to PRE_COPY locks up a CPU on those before 7.1 and 6.12.96, and some
 * drivers commit a stream of which a write was refused.
 */
export class KernelMigration implements MigrationFacet {
  readonly capabilities: MigrationCapabilities;
  readonly #calls: KernelCalls;
  readonly #features: Features;
  readonly #logger: Logger;
  readonly #hasSize: boolean;
  #state: MigrationState = "running";
  #stream: DataStream | undefined;
  /** Why nothing more may be done with the restoring session. */
  #poison: unknown;
  #lane: Promise<unknown> = Promise.resolve();
  /** Rises with each reset, so that what ran before does not speak of what is after. */
  #epoch = 0;

  constructor(
    calls: KernelCalls,
    features: Features,
    capabilities: MigrationCapabilities,
    logger: Logger,
  ) {
    this.#calls = calls;
    this.#features = features;
    this.capabilities = capabilities;
    this.#logger = logger;
    this.#hasSize = features.has(FEATURE.MIG_DATA_SIZE, "get");
    // Probed only on devices that migrate: the feature answers oddly on others.
    if (capabilities.preCopy && features.has(FEATURE.MIG_PRECOPY_INFOV2, "set")) {
      features.run(features.request(FEATURE.MIG_PRECOPY_INFOV2, "set", 0));
    }
    this.#readBack();
  }

  get state(): MigrationState {
    return this.#state;
  }

  async setState(target: MigrationState): Promise<void> {
    checkTarget(target, this.capabilities);
    const run = this.#lane.then(() => this.#walk(target));
    this.#lane = run.catch(() => {});
    await run;
  }

  async readData(into: Uint8Array): Promise<number> {
    if (!isSaving(this.#state)) throw this.#noSession("read", "PRE_COPY or STOP_COPY");
    return this.#session("read").read(into);
  }

  async writeData(from: Uint8Array): Promise<void> {
    if (this.#state !== "resuming") throw this.#noSession("write", "RESUMING");
    this.#refusePoisoned();
    const epoch = this.#epoch;
    try {
      await this.#session("write").write(from);
    } catch (error) {
      if (epoch === this.#epoch) this.#poison = error;
      throw error;
    }
  }

  async dataSize(): Promise<number> {
    // A kernel before 6.2 has no estimate; what is left of PRE_COPY is all that it tells.
    if (!this.#hasSize) {
      if (!this.#precopying()) return 0;
      const { initialBytes, dirtyBytes } = await this.precopyInfo();
      return initialBytes + dirtyBytes;
    }
    const request = this.#features.request(FEATURE.MIG_DATA_SIZE, "get", 8);
    await this.#features.runLater(request);
    return wide(request.view, FEATURE_HEAD.DATA);
  }

  async precopyInfo(): Promise<PrecopyInfo> {
    if (!this.#precopying()) throw this.#noSession("pre-copy information", "PRE_COPY");
    const request = sized(PRECOPY.BYTES);
    await this.#calls.later(
      this.#session("ask").fd,
      MIGRATION_DATA.GET_PRECOPY_INFO,
      request.bytes,
    );
    return readPrecopyInfo(request);
  }

  /** After the device was reset: RUNNING, and no session. */
  afterReset(): void {
    this.#epoch += 1;
    this.#endStream();
    this.#poison = undefined;
    this.#readBack();
  }

  /** Settles when no request is under way. */
  async close(): Promise<void> {
    await this.#lane;
    this.#endStream();
  }

  async #walk(target: MigrationState): Promise<void> {
    const path = migrationPath(this.#state, target, this.capabilities);
    if (path.length === 0) return;
    // Leaving RESUMING commits: a reset is the only way out of a stream that is known to be wrong.
    if (this.#state === "resuming") this.#refusePoisoned();
    const epoch = this.#epoch;
    const request = this.#features.request(FEATURE.MIG_DEVICE_STATE, "set", MIG_STATE_BYTES);
    request.view.setUint32(FEATURE_HEAD.DATA, MIGRATION_STATE[target], true);
    request.view.setInt32(FEATURE_HEAD.DATA + 4, -1, true);
    try {
      await this.#features.runLater(request);
    } catch (error) {
      if (epoch === this.#epoch) this.#readBack();
      throw this.#arcFault(target, error);
    }
    const { dataFd } = readMigrationState(request);
    if (epoch !== this.#epoch) {
      if (dataFd >= 0) this.#calls.io.close(dataFd);
      throw this.#cancelled(target);
    }
    this.#arrive(target, dataFd);
  }

  /** Takes the new state and the session that belongs to it. */
  #arrive(target: MigrationState, dataFd: number): void {
    const goesOn = isSaving(this.#state) && isSaving(target) && this.#stream !== undefined;
    const opens = (isSaving(target) || target === "resuming") && !goesOn;
    this.#state = target;
    if (!goesOn) this.#endStream();
    if (target !== "resuming") this.#poison = undefined;
    if (opens === dataFd >= 0) {
      if (opens) this.#stream = new DataStream(this.#calls, dataFd);
      return;
    }
    if (dataFd >= 0) this.#calls.io.close(dataFd);
    throw baseFault(
      "ERR_VFMIG_VFIO_ANSWER",
      `The driver of ${this.#calls.device} ${opens ? "gave no data descriptor" : "gave a second data descriptor"} on the way to ${target}. Reset the device; report it to the driver's maintainers.`,
      { device: this.#calls.device, target, errno: "EIO" },
    );
  }

  /** The state as the kernel has it now; ERROR where it does not even say that. */
  #readBack(): void {
    const request = this.#features.request(FEATURE.MIG_DEVICE_STATE, "get", MIG_STATE_BYTES);
    try {
      this.#features.run(request);
      const { state, dataFd } = readMigrationState(request);
      if (dataFd >= 0) this.#calls.io.close(dataFd);
      this.#state = STATES.get(state) ?? "error";
    } catch (error) {
      this.#logger.error(`The migration state of ${this.#calls.device} cannot be read.`, { error });
      this.#state = "error";
    }
    const session = isSaving(this.#state) || this.#state === "resuming";
    if (!session) this.#endStream();
  }

  #endStream(): void {
    this.#stream?.end();
    this.#stream = undefined;
  }

  #session(what: string): DataStream {
    if (this.#stream !== undefined) return this.#stream;
    throw this.#noSession(what, "another state first");
  }

  #precopying(): boolean {
    return this.#state === "pre-copy" || this.#state === "pre-copy-p2p";
  }

  #noSession(what: string, where: string): VfmigError {
    return baseFault(
      "ERR_VFMIG_MIGRATION_SESSION",
      `${this.#calls.device} is in ${this.#state}: there is no session for ${what}. Enter ${where}.`,
      { device: this.#calls.device, state: this.#state, errno: "EINVAL" },
    );
  }

  #refusePoisoned(): void {
    if (this.#poison === undefined) return;
    throw baseFault(
      "ERR_VFMIG_MIGRATION_POISONED",
      `The restoring of ${this.#calls.device} failed earlier, so that its state cannot be committed, although its driver might. Reset the device and start again.`,
      { device: this.#calls.device, errno: "EIO" },
      this.#poison,
    );
  }

  #cancelled(target: MigrationState): VfmigError {
    return baseFault(
      "ERR_VFMIG_MIGRATION_CANCELLED",
      `A reset of ${this.#calls.device} ended its way to ${target}. Read the state back, and start again if it is still wanted.`,
      { device: this.#calls.device, target, errno: "ECANCELED" },
    );
  }

  #arcFault(target: MigrationState, cause: unknown): unknown {
    const errno = refusedWith(cause);
    if (errno === undefined || errno === "ENODEV") return cause;
    const lost = this.#state === "error";
    return baseFault(
      lost ? "ERR_VFMIG_MIGRATION_LOST" : "ERR_VFMIG_VFIO_CALL",
      `The kernel driver of ${this.#calls.device} did not reach ${target} (${errno}); the device is in ${this.#state}. ${lost ? "Reset it." : "The session goes on from there, or a reset ends it."} The kernel's log may say why.`,
      { device: this.#calls.device, target, state: this.#state, errno },
      cause,
    );
  }
}

/** Undefined where the device's driver has no migration, as plain vfio-pci. */
export function createKernelMigration(
  calls: KernelCalls,
  features: Features,
  logger: Logger,
): KernelMigration | undefined {
  if (!features.has(FEATURE.MIGRATION, "get")) return undefined;
  const request = features.request(FEATURE.MIGRATION, "get", 8);
  features.run(request);
  const flags = Number(request.view.getBigUint64(FEATURE_HEAD.DATA, true) & 0xffn);
  if ((flags & MIGRATION_FLAG.STOP_COPY) === 0) {
    logger.warn(
      `${calls.device}: its driver offers migration without STOP_COPY (flags ${flags}), which no protocol allows. It counts as not migratable.`,
    );
    return undefined;
  }
  const p2p = (flags & MIGRATION_FLAG.P2P) !== 0;
  const preCopy = (flags & MIGRATION_FLAG.PRE_COPY) !== 0;
  return new KernelMigration(calls, features, { p2p, preCopy }, logger);
}
