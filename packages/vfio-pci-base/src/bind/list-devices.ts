import { join } from "node:path";
import type { PciIdentity } from "@vfmig/core";
import { readPciIdentity, type GroupMember, groupMembers } from "../sysfs/device-facts.ts";
import {
  attribute,
  exists,
  linkName,
  names,
  numberAttribute,
  type SystemRoots,
} from "../sysfs/sysfs.ts";

export type { GroupMember, SystemRoots };

/** One PCI function or mediated device, as far as passing it through is concerned. */
export interface ListedDevice {
  /** PCI address, or the UUID of a mediated device. */
  readonly address: string;
  readonly kind: "pci" | "mdev";
  readonly pci: PciIdentity | null;
  /** 24 bits: base class, subclass, interface; null where there is none. */
  readonly class: number | null;
  readonly driver: string | null;
  /** What an administrator chose in place of the kernel's match. */
  readonly driverOverride: string | null;
  /** IOMMU group; null where the device has none, so that it cannot be passed through. */
  readonly group: string | null;
  /** Others of that group, which go with it. */
  readonly groupMembers: readonly GroupMember[];
  readonly sriov: {
    /** Address of the physical function, for a VF. */
    readonly pf: string | null;
    /** Addresses of the VFs that a PF has now. */
    readonly vfs: readonly string[];
    /** VFs that a PF can have; 0 for others. */
    readonly total: number;
  };
  readonly vfio: {
    /** True while a VFIO driver has it. */
    readonly bound: boolean;
    /** Ways by which it can be opened now. */
    readonly paths: readonly ("group" | "iommufd")[];
    /** File of its own below the dev folder; null where there is none. */
    readonly cdev: string | null;
  };
  /** Ways to reset it, as the kernel lists them (`flr`, `bus`, ...). */
  readonly resetMethods: readonly string[];
}

/** Lists what sysfs has, by address. Changes nothing and opens nothing. */
export function listDevices(roots: SystemRoots = {}): readonly ListedDevice[] {
  const { sysfs = "/sys" } = roots;
  return (["pci", "mdev"] as const).flatMap((kind) => {
    const folder = join(sysfs, "bus", kind, "devices");
    return names(folder).map((address) => describe(join(folder, address), address, kind, roots));
  });
}

function describe(
  folder: string,
  address: string,
  kind: "pci" | "mdev",
  roots: SystemRoots,
): ListedDevice {
  const { dev = "/dev" } = roots;
  const group = linkName(join(folder, "iommu_group")) ?? null;
  const cdev = names(join(folder, "vfio-dev")).find((name) => /^vfio\d+$/.test(name));
  const cdevFile = cdev === undefined ? undefined : join(dev, "vfio/devices", cdev);
  const driver = linkName(join(folder, "driver")) ?? null;
  const override = attribute(folder, "driver_override") ?? "";
  const groupFile = group === null ? undefined : join(dev, "vfio", group);
  const iommufd = cdevFile !== undefined && exists(cdevFile) && exists(join(dev, "iommu"));
  const bound = exists(join(folder, "vfio-dev")) || (driver !== null && /vfio/.test(driver));
  return {
    address,
    kind,
    pci: kind === "pci" ? (readPciIdentity(folder) ?? null) : null,
    class: numberAttribute(folder, "class") ?? null,
    driver,
    driverOverride: override === "" || override === "(null)" ? null : override,
    group,
    groupMembers: groupMembers(folder).filter(({ name }) => name !== address),
    sriov: {
      pf: linkName(join(folder, "physfn")) ?? null,
      vfs: virtualFunctions(folder),
      total: numberAttribute(folder, "sriov_totalvfs") ?? 0,
    },
    vfio: {
      bound,
      paths: [
        ...(bound && groupFile !== undefined && exists(groupFile) ? (["group"] as const) : []),
        ...(iommufd ? (["iommufd"] as const) : []),
      ],
      cdev: cdevFile ?? null,
    },
    resetMethods: (attribute(folder, "reset_method") ?? "")
      .split(/\s+/)
      .filter((each) => each !== ""),
  };
}

/** By the links `virtfn0` and up, in their order. */
function virtualFunctions(folder: string): readonly string[] {
  return names(folder)
    .flatMap((name) => {
      const number = /^virtfn(\d+)$/.exec(name)?.[1];
      const address = number === undefined ? undefined : linkName(join(folder, name));
      return address === undefined ? [] : [{ number: Number(number), address }];
    })
    .toSorted((a, b) => a.number - b.number)
    .map(({ address }) => address);
}
