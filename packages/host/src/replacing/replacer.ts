import { VfmigError, type DeviceConfig, type LoadedConfig } from "@vfmig/core";
import type { Acquired } from "../acquiring/acquire.ts";
import type { DeviceProcess } from "../device-process/device-process.ts";
import type { Replaced } from "../device-process/protocol.ts";

/** Opens with the host's rights what the base of an entry needs; `where` is its path in the configuration. */
export type Acquire = (entry: DeviceConfig, where: string) => Promise<Acquired | undefined>;

/** What puts the device of one entry in the place of a served one; no entry is in two places. */
export function createReplacer(
  { config }: LoadedConfig,
  devices: readonly DeviceProcess[],
  acquire: Acquire,
): (name: string, entry: string) => Promise<Replaced> {
  /** Entries that are on their way into a place. */
  const taken = new Set<string>();
  return async (name, entry) => {
    const device = deviceNamed(devices, name);
    const index = config.devices.findIndex((each) => each.name === entry);
    const found = config.devices[index];
    if (found === undefined) {
      const free = config.devices
        .filter((each) => devices.every(({ entry: used }) => used !== each.name))
        .map((each) => `"${each.name}"`);
      const could =
        free.length === 0 ? "no other entry is free" : `these are free: ${free.join(", ")}`;
      throw refusal(entry, `the configuration has no such entry; ${could}`);
    }
    const place = devices.find((each) => each.entry === entry);
    if (place !== undefined) throw refusal(entry, `it is what "${place.name}" serves now`);
    if (taken.has(entry)) throw refusal(entry, "it is already taking a place");
    taken.add(entry);
    try {
      // Closed here once the process has its own.
      using acquired = await acquire(found, `devices[${index}]`);
      if (device.pid !== undefined) acquired?.onStarted(device.pid);
      return await device.replace(entry, acquired?.grant);
    } finally {
      taken.delete(entry);
    }
  };
}

/** @throws VfmigError `ERR_VFMIG_HOST_NO_DEVICE` */
export function deviceNamed(devices: readonly DeviceProcess[], name: string): DeviceProcess {
  const found = devices.find((device) => device.name === name);
  if (found !== undefined) return found;
  const names = devices.map((device) => `"${device.name}"`).join(", ");
  throw new VfmigError(
    "ERR_VFMIG_HOST_NO_DEVICE",
    `No device "${name}" is served; served are ${names}.`,
    { layer: "host", details: { device: name } },
  );
}

function refusal(entry: string, why: string): VfmigError {
  return new VfmigError(
    "ERR_VFMIG_HOST_STANDBY",
    `"${entry}" cannot take another's place: ${why}. Nothing was changed.`,
    { layer: "host", details: { entry } },
  );
}
