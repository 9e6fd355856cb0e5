import type { AsyncRegion, VfioDevice } from "../device/vfio-device.ts";
import { V1_REGISTER } from "../migration/v1/registers.ts";

/** A user of migration protocol v1, as `linux/vfio.h` told it to go about it. */
export class V1User {
  readonly #region: AsyncRegion;

  constructor({ asyncRegions }: VfioDevice) {
    const [region] = asyncRegions?.values() ?? [];
    if (region === undefined) throw new Error("the device has no migration region");
    this.#region = region;
  }

  async state(): Promise<number> {
    const into = new Uint8Array(4);
    await this.#region.read(V1_REGISTER.DEVICE_STATE, into);
    return new DataView(into.buffer).getUint32(0, true);
  }

  async setState(value: number): Promise<void> {
    const from = new Uint8Array(Uint32Array.of(value).buffer);
    await this.#region.write(V1_REGISTER.DEVICE_STATE, from);
  }

  async long(offset: number): Promise<number> {
    const into = new Uint8Array(8);
    await this.#region.read(offset, into);
    return Number(new DataView(into.buffer).getBigUint64(0, true));
  }

  pending(): Promise<number> {
    return this.long(V1_REGISTER.PENDING_BYTES);
  }

  read(offset: number, into: Uint8Array): Promise<void> {
    return this.#region.read(offset, into);
  }

  write(offset: number, from: Uint8Array): Promise<void> {
    return this.#region.write(offset, from);
  }

  /** The chunk that is ready, after pending_bytes was not 0. */
  async chunk(): Promise<Uint8Array> {
    const offset = await this.long(V1_REGISTER.DATA_OFFSET);
    const bytes = new Uint8Array(await this.long(V1_REGISTER.DATA_SIZE));
    await this.#region.read(offset, bytes);
    return bytes;
  }

  /** Chunks until nothing is pending. */
  async drain(): Promise<Uint8Array[]> {
    const chunks: Uint8Array[] = [];
    while ((await this.pending()) > 0) chunks.push(await this.chunk());
    return chunks;
  }

  /** Hands a chunk to a resuming device. */
  async give(chunk: Uint8Array): Promise<void> {
    await this.#region.write(await this.long(V1_REGISTER.DATA_OFFSET), chunk);
    await this.#region.write(
      V1_REGISTER.DATA_SIZE,
      new Uint8Array(BigUint64Array.of(BigInt(chunk.length)).buffer),
    );
  }
}
