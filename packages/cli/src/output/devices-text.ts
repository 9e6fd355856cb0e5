import type { ListedDevice } from "@vfmig/host/pci";
import { table } from "./table.ts";

const hex = (value: number): string => value.toString(16).padStart(4, "0");

/**
 * The devices for people, a line each.
 * @param hidden how many were left out
 */
export function devicesText(devices: readonly ListedDevice[], hidden: number): string {
  const rows = devices.map((device) => [
    device.address,
    device.pci === null ? "" : `${hex(device.pci.vendor)}:${hex(device.pci.device)}`,
    roleOf(device),
    device.driver ?? "none",
    device.group === null ? "none" : `group ${device.group}`,
    device.vfio.paths.join(", ") || (device.vfio.bound ? "no file" : "not bound"),
    device.groupMembers.map(({ name, driver }) => `${name} (${driver ?? "none"})`).join(", "),
  ]);
  const head = ["address", "ids", "role", "driver", "IOMMU", "open by", "shares its group with"];
  const lines = rows.length === 0 ? ["No device."] : [table([head, ...rows], "")];
  if (hidden > 0) lines.push(`${hidden} other functions are not shown; --all shows them.`);
  return lines.join("\n");
}

function roleOf({ kind, sriov }: ListedDevice): string {
  if (kind === "mdev") return "mediated device";
  if (sriov.pf !== null) return `VF of ${sriov.pf}`;
  if (sriov.total > 0) return `PF, ${sriov.vfs.length} of ${sriov.total} VFs`;
  return "";
}
