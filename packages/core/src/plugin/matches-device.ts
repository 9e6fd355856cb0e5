import type { PciIdentity } from "../device/info.ts";
import { VfmigError } from "../errors/vfmig-error.ts";
import type { DeviceMatch, SubDriverDefinition } from "../sub-driver/definition.ts";

function fits(match: DeviceMatch, pci: PciIdentity): boolean {
  return (
    match.vendor === pci.vendor &&
    match.device === pci.device &&
    (match.subsystemVendor ?? pci.subsystemVendor) === pci.subsystemVendor &&
    (match.subsystemDevice ?? pci.subsystemDevice) === pci.subsystemDevice
  );
}

/** True where a sub-driver says that it drives a device of this identity. */
export function matchesDevice(definition: SubDriverDefinition, pci: PciIdentity): boolean {
  return definition.matches.some((match) => fits(match, pci));
}

function hex(id: number): string {
  return id.toString(16).padStart(4, "0");
}

function matchText(match: DeviceMatch): string {
  const { vendor, device, subsystemVendor, subsystemDevice } = match;
  const ids = `${hex(vendor)}:${hex(device)}`;
  if (subsystemVendor === undefined && subsystemDevice === undefined) return ids;
  const part = (id: number | undefined): string => (id === undefined ? "any" : hex(id));
  return `${ids} (subsystem ${part(subsystemVendor)}:${part(subsystemDevice)})`;
}

/**
 * Refuses a sub-driver for a device that it does not drive.
 * @param device The device's name in the configuration.
 * @param pci Its identity; undefined where its base has none, which no sub-driver matches.
 * @throws VfmigError `ERR_VFMIG_PLUGIN_DEVICE_MISMATCH`
 */
export function checkDevice(
  definition: SubDriverDefinition,
  device: string,
  pci: PciIdentity | undefined,
): void {
  if (pci !== undefined && matchesDevice(definition, pci)) return;
  const { name, version, matches } = definition;
  const found =
    pci === undefined
      ? "has no PCI identity"
      : `is ${hex(pci.vendor)}:${hex(pci.device)} (subsystem ${hex(pci.subsystemVendor)}:${hex(pci.subsystemDevice)})`;
  throw new VfmigError(
    "ERR_VFMIG_PLUGIN_DEVICE_MISMATCH",
    `device "${device}" ${found}, but sub-driver "${name}" ${version} drives ` +
      `${matches.map(matchText).join(", ")}; name the plugin for this device, or none to run it on its base alone`,
    { layer: "core", details: { device, pci, driver: name, matches } },
  );
}
