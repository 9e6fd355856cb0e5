import { VfmigError } from "@vfmig/core";
import type {
  MigrationCapabilities,
  MigrationFacet,
  MigrationState,
  PrecopyInfo,
} from "@vfmig/core";
import type { Channel } from "./channel.ts";
import {
  getDataSize,
  getMigrationState,
  getPrecopyInfo,
  readMigrationData,
  setMigrationState,
  writeMigrationData,
} from "./feature-operations.ts";

/** Migration of a device on the other side of a socket. */
export class RemoteMigration implements MigrationFacet {
  readonly capabilities: MigrationCapabilities;
  readonly #channel: Channel;
  readonly #readLimit: number;
  readonly #writeLimit: number;
  #state: MigrationState;

  /** Limits in bytes of data in one message. */
  constructor(
    channel: Channel,
    capabilities: MigrationCapabilities,
    state: MigrationState,
    limits: { readonly read: number; readonly write: number },
  ) {
    this.#channel = channel;
    this.capabilities = capabilities;
    this.#state = state;
    this.#readLimit = limits.read;
    this.#writeLimit = limits.write;
  }

  /** As the server last said. */
  get state(): MigrationState {
    return this.#state;
  }

  async setState(target: MigrationState): Promise<void> {
    try {
      this.#state = await this.#channel.call(setMigrationState(target));
    } catch (error) {
      // The device may have gone part of the way. A server that did not answer is not asked again.
      if (VfmigError.is(error) && error.code === "ERR_VFMIG_VFIO_USER_REMOTE") {
        await this.refresh().catch(() => {});
      }
      throw error;
    }
  }

  async readData(into: Uint8Array): Promise<number> {
    const piece = into.subarray(0, this.#readLimit);
    return this.#channel.call(readMigrationData(piece));
  }

  async writeData(from: Uint8Array): Promise<void> {
    for (let at = 0; at < from.length; at += this.#writeLimit) {
      await this.#channel.call(writeMigrationData(from.subarray(at, at + this.#writeLimit)));
    }
  }

  dataSize(): Promise<number> {
    return this.#channel.call(getDataSize());
  }

  precopyInfo(): Promise<PrecopyInfo> {
    return this.#channel.call(getPrecopyInfo());
  }

  /** Asks the server for the state, after a failure or a reset. */
  async refresh(): Promise<void> {
    this.#state = await this.#channel.call(getMigrationState());
  }
}
