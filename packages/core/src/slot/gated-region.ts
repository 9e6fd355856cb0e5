import type { AsyncRegion, VfioDevice } from "../device/vfio-device.ts";
import type { Gate } from "./gate.ts";

/** A region whose accesses wait at a gate, and then go to the device that is there by then. */
class GatedRegion implements AsyncRegion {
  readonly order = "accesses";
  readonly #index: number;
  readonly #gate: Gate;
  readonly #device: () => VfioDevice;

  constructor(index: number, gate: Gate, device: () => VfioDevice) {
    this.#index = index;
    this.#gate = gate;
    this.#device = device;
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    await this.#gate.wait();
    const device = this.#device();
    const waits = device.asyncRegions?.get(this.#index);
    if (waits !== undefined) return waits.read(offset, into);
    device.readRegion(this.#index, offset, into);
  }

  async write(offset: number, from: Uint8Array): Promise<void> {
    await this.#gate.wait();
    const device = this.#device();
    const waits = device.asyncRegions?.get(this.#index);
    if (waits !== undefined) return waits.write(offset, from);
    device.writeRegion(this.#index, offset, from);
  }
}

/** All regions of a device, to be accessed once `gate` is open. */
export function gatedRegions(
  gate: Gate,
  device: () => VfioDevice,
): ReadonlyMap<number, AsyncRegion> {
  const { regions } = device().info;
  return new Map(regions.map(({ index }) => [index, new GatedRegion(index, gate, device)]));
}
