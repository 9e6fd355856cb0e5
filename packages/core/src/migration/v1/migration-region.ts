import { closedError } from "../../device/closed-error.ts";
import type { AsyncRegion } from "../../device/vfio-device.ts";
import { VfmigError } from "../../errors/vfmig-error.ts";
import type { MigrationFacet } from "../migration-facet.ts";
import { isSaving } from "../next-state.ts";
import { refuseAccess } from "./refuse-access.ts";
import {
  deviceStateOf,
  registerWidth,
  stateAskedBy,
  V1_DATA_OFFSET,
  V1_REGISTER,
  V1_STATE,
} from "./registers.ts";

/** The bytes in the data area while saving. */
interface Chunk {
  readonly length: number;
  /** True once its place was asked for: asking for the pending bytes again then says that it was taken. */
  shown: boolean;
}

/**
 * The registers and the data area of protocol v1 over a facet of v2. Each access settles when its duty is
 * done, as a kernel's read or write returned; accesses run one after the other.
 */
export class MigrationRegion implements AsyncRegion {
  readonly #migration: MigrationFacet;
  readonly #data: Uint8Array;
  #chunk: Chunk | undefined;
  /** Bytes from the start of the data area that were placed since the last chunk was taken. */
  #placed = 0;
  /** Raised when a session may have ended: accesses of an earlier epoch are void. */
  #epoch = 0;
  #closed = false;
  #tail: Promise<unknown> = Promise.resolve();

  constructor(migration: MigrationFacet, dataBytes: number) {
    this.#migration = migration;
    this.#data = new Uint8Array(dataBytes);
  }

  /** What the state register shows; known without waiting. */
  get deviceState(): number {
    return deviceStateOf(this.#migration.state);
  }

  read(offset: number, into: Uint8Array): Promise<void> {
    return this.#enqueue(() => this.#read(offset, into));
  }

  write(offset: number, from: Uint8Array): Promise<void> {
    return this.#enqueue(() => this.#write(offset, from));
  }

  /** The session whose data stand here is over: another state, by whatever way it was reached. */
  sessionEnded(): void {
    this.#chunk = undefined;
    this.#placed = 0;
  }

  /** A reset: what waits is void, and what runs is cancelled by the device. */
  cancel(): void {
    this.#epoch += 1;
    this.sessionEnded();
  }

  close(): void {
    this.#closed = true;
    this.cancel();
  }

  #enqueue(run: () => Promise<void>): Promise<void> {
    const epoch = this.#epoch;
    const access = async (): Promise<void> => {
      this.#assertCurrent(epoch);
      await run();
      // What came for a session that has ended meanwhile is nothing to act upon.
      this.#assertCurrent(epoch);
    };
    const result = this.#tail.then(access);
    this.#tail = result.catch(() => {});
    return result;
  }

  #assertCurrent(epoch: number): void {
    if (this.#closed) throw closedError();
    if (epoch === this.#epoch) return;
    throw new VfmigError(
      "ERR_VFMIG_MIGRATION_CANCELLED",
      "Cancelled an access to the migration region: the device was reset.",
      { layer: "core", details: { errno: "ECANCELED" } },
    );
  }

  async #read(offset: number, into: Uint8Array): Promise<void> {
    if (offset >= V1_DATA_OFFSET) return this.#readData(offset - V1_DATA_OFFSET, into);
    this.#checkWidth("read", offset, into.length);
    const view = new DataView(into.buffer, into.byteOffset, into.byteLength);
    if (into.length === 4) {
      view.setUint32(0, offset === V1_REGISTER.DEVICE_STATE ? this.deviceState : 0, true);
      return;
    }
    view.setBigUint64(0, BigInt(await this.#readLong(offset)), true);
  }

  #readLong(offset: number): Promise<number> | number {
    if (offset === V1_REGISTER.PENDING_BYTES) return this.#pendingBytes();
    if (offset === V1_REGISTER.DATA_OFFSET) return this.#dataOffset();
    const chunk = this.#chunk;
    if (isSaving(this.#migration.state) && chunk?.shown === true) return chunk.length;
    throw this.#refuse("read data_size", "it is known while saving, after data_offset was read");
  }

  async #write(offset: number, from: Uint8Array): Promise<void> {
    if (offset >= V1_DATA_OFFSET) return this.#placeData(offset - V1_DATA_OFFSET, from);
    this.#checkWidth("write", offset, from.length);
    const view = new DataView(from.buffer, from.byteOffset, from.byteLength);
    if (offset === V1_REGISTER.DEVICE_STATE) return await this.#setState(view.getUint32(0, true));
    if (offset === V1_REGISTER.DATA_SIZE) return await this.#takeData(view.getBigUint64(0, true));
    throw this.#refuse(`write the register at ${offset}`, "it can only be read");
  }

  async #setState(value: number): Promise<void> {
    if ((value & ~V1_STATE.MASK) !== 0) {
      throw this.#refuse(
        `write ${value} to device_state`,
        "bits 3 to 31 are reserved and read as 0: read the register, and change the rest",
      );
    }
    const target = stateAskedBy(value);
    if (target === undefined) {
      throw this.#refuse(
        `write ${value} to device_state`,
        "this is no state that can be asked for",
      );
    }
    await this.#migration.setState(target);
  }

  /** Asking says that the chunk whose place was asked for is taken, and makes the next one ready. */
  async #pendingBytes(): Promise<number> {
    if (!isSaving(this.#migration.state)) return 0;
    if (this.#chunk?.shown === true) this.#chunk = undefined;
    if (this.#chunk === undefined) {
      const epoch = this.#epoch;
      const length = await this.#migration.readData(this.#data);
      if (length === 0 || epoch !== this.#epoch || !isSaving(this.#migration.state)) return 0;
      this.#chunk = { length, shown: false };
    }
    return this.#chunk.length + (await this.#estimate());
  }

  /** Bytes that may follow what stands in the data area. */
  async #estimate(): Promise<number> {
    const migration = this.#migration;
    try {
      if (migration.state === "stop-copy") return await migration.dataSize();
      const { initialBytes, dirtyBytes } = await migration.precopyInfo();
      return initialBytes + dirtyBytes;
    } catch {
      // Both are hints: what stands there is told all the same.
      return 0;
    }
  }

  #dataOffset(): number {
    if (this.#migration.state === "resuming") return V1_DATA_OFFSET;
    if (isSaving(this.#migration.state) && this.#chunk !== undefined) {
      this.#chunk.shown = true;
      return V1_DATA_OFFSET;
    }
    throw this.#refuse(
      "read data_offset",
      "it is known while resuming, and while saving after pending_bytes was read and was not 0",
    );
  }

  #readData(at: number, into: Uint8Array): void {
    const chunk = this.#chunk;
    const ready = isSaving(this.#migration.state) && chunk?.shown === true;
    if (!ready || at + into.length > chunk.length) {
      const there = ready ? `${chunk.length} bytes are there` : "no data are there to be read";
      throw this.#refuse(`read ${into.length} bytes at ${at} of the data area`, there);
    }
    into.set(this.#data.subarray(at, at + into.length));
  }

  #placeData(at: number, from: Uint8Array): void {
    if (this.#migration.state !== "resuming" || at + from.length > this.#data.length) {
      throw this.#refuse(
        `write ${from.length} bytes at ${at} of the data area`,
        `only while resuming, and ${this.#data.length} bytes fit`,
      );
    }
    this.#data.set(from, at);
    this.#placed = Math.max(this.#placed, at + from.length);
  }

  /** Has the device take what was placed; settles when it has. */
  async #takeData(size: bigint): Promise<void> {
    if (this.#migration.state !== "resuming") {
      throw this.#refuse("write data_size", "only while resuming");
    }
    if (size < 1n || size > BigInt(this.#placed)) {
      throw this.#refuse(
        `write ${size} to data_size`,
        `${this.#placed} bytes were placed since the last chunk`,
      );
    }
    this.#placed = 0;
    await this.#migration.writeData(this.#data.subarray(0, Number(size)));
  }

  #checkWidth(access: "read" | "write", offset: number, length: number): void {
    const width = registerWidth(offset);
    if (width === length) return;
    const why =
      width === undefined ? "no register begins there" : `the register there has ${width} bytes`;
    throw this.#refuse(`${access} ${length} bytes at ${offset}`, why);
  }

  #refuse(what: string, why: string): VfmigError {
    return refuseAccess(what, why, this.#migration.state);
  }
}
