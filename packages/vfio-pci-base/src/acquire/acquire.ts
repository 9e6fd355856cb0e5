import type { BaseGrant } from "@vfmig/core";
import { MEMORY_UNLIMITED, type NativeIo } from "@vfmig/linux";
import { baseFault } from "../kernel-calls.ts";
import { nameOf, type VfioPciOptions } from "../options.ts";
import { readDeviceFacts, type DeviceFacts } from "../sysfs/device-facts.ts";
import { exists, type SystemRoots } from "../sysfs/sysfs.ts";
import { cdevPath, iommufdPath, openByCdev } from "./cdev.ts";
import type { GrantFacts } from "./facts.ts";
import { openByGroup } from "./group.ts";

/**
 * The privileged half: looks the device up, opens the kernel's files for it, and gives away descriptors
 * and facts. It touches neither registers nor memory of a guest.
 *
 * @throws VfmigError `ERR_VFMIG_VFIO_*`, with what to do
 */
export function acquireDevice(
  io: NativeIo,
  options: VfioPciOptions,
  roots: SystemRoots = {},
): BaseGrant {
  const facts = readDeviceFacts(nameOf(options), roots);
  checkDriver(facts);
  const path = choosePath(facts, options, roots);
  const common = {
    name: facts.device.name,
    driver: facts.driver ?? "vfio",
    ...(facts.pci === undefined ? {} : { pci: facts.pci }),
  };
  if (path === "iommufd") {
    const { fds, deviceId } = openByCdev(io, facts, roots, options.vfToken);
    return grant({ ...fds }, { ...common, path, deviceId });
  }
  checkGroup(facts);
  const fds = openByGroup(io, facts, roots, options.vfToken);
  return grant({ ...fds }, { ...common, path, group: Number(facts.group) });
}

function grant(fds: Readonly<Record<string, number>>, facts: GrantFacts): BaseGrant {
  // All of a guest's memory is pinned for DMA, and how much that is only its VMM knows.
  return { fds, facts: { ...facts }, memoryLock: MEMORY_UNLIMITED };
}

function checkDriver({ device, driver, vfio }: DeviceFacts): void {
  if (vfio) return;
  throw baseFault(
    "ERR_VFMIG_VFIO_NOT_BOUND",
    `${device.name} ${driver === undefined ? "has no driver" : `is driven by ${driver}`}, and only a VFIO driver gives it to users. Bind it with \`vfmig bind ${device.name}\`${driver === undefined ? "" : `; the host loses what ${driver} does with it`}.`,
    { device: device.name, driver },
  );
}

function checkGroup({ device, group }: DeviceFacts): void {
  if (group !== undefined) return;
  throw baseFault(
    "ERR_VFMIG_VFIO_NO_IOMMU_GROUP",
    `${device.name} is in no IOMMU group: nothing would keep its DMA inside the guest. Switch on the IOMMU in the firmware and on the kernel's command line (intel_iommu=on), and reboot.`,
    { device: device.name },
  );
}

/** iommufd where kernel and device have it, unless the options say otherwise. */
function choosePath(
  facts: DeviceFacts,
  { path }: VfioPciOptions,
  roots: SystemRoots,
): "group" | "iommufd" {
  if (path !== "auto") return path;
  const file = cdevPath(facts, roots);
  return file !== undefined && exists(file) && exists(iommufdPath(roots)) ? "iommufd" : "group";
}
