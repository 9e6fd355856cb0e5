import type { DeviceInfo, VfioDevice } from "@vfmig/core";
import { DelegatingDevice } from "./delegating-device.ts";

/** No process maps a model's region; {@link createMappingUser} does what a mapping would do. */
const NO_FILE = -1;

/**
 * A device of which whole regions can be mapped, as hardware offers its BARs. A model's registers have no
 * memory behind them, so that a mapping of it is one for {@link createMappingUser} only.
 *
 * @param regions - indexes of regions that are whole pages long
 */
export function withMappableRegions(device: VfioDevice, regions: readonly number[]): VfioDevice {
  return new MappableDevice(device, regions);
}

class MappableDevice extends DelegatingDevice {
  readonly #info: DeviceInfo;

  constructor(device: VfioDevice, regions: readonly number[]) {
    super(device);
    this.#info = {
      ...device.info,
      regions: device.info.regions.map((region) => {
        if (!regions.includes(region.index)) return region;
        const areas = [{ offset: 0, size: region.size }];
        return { ...region, mmap: { fd: NO_FILE, fdOffset: 0n, areas } };
      }),
    };
  }

  override get info(): DeviceInfo {
    return this.#info;
  }
}
