import { PCI_REGION, type DeviceIdentity, type PciIdentity, type RegionInfo } from "@vfmig/core";
import type { GrantFacts } from "../acquire/facts.ts";
import type { RegionAccess } from "./region-access.ts";

/** Config space of every PCI function: vendor, device, revision, and the subsystem's ids. */
const CONFIG_BYTES = 0x40;

/** Who a device is. A mediated device has no function in sysfs: there config space says it. */
export function identify(
  device: string,
  version: string,
  facts: GrantFacts,
  regions: readonly RegionInfo[],
  access: RegionAccess,
): DeviceIdentity {
  const pci = facts.pci ?? readConfig(regions, access);
  const base = { name: facts.driver, version };
  return { device, base, ...(pci === undefined ? {} : { pci }) };
}

function readConfig(regions: readonly RegionInfo[], access: RegionAccess): PciIdentity | undefined {
  const config = regions[PCI_REGION.CONFIG];
  if (config === undefined || config.size < CONFIG_BYTES || !config.read) return undefined;
  const bytes = new Uint8Array(CONFIG_BYTES);
  access.read(PCI_REGION.CONFIG, 0, bytes);
  const view = new DataView(bytes.buffer);
  return {
    vendor: view.getUint16(0x00, true),
    device: view.getUint16(0x02, true),
    revision: view.getUint8(0x08),
    subsystemVendor: view.getUint16(0x2c, true),
    subsystemDevice: view.getUint16(0x2e, true),
  };
}
