import type { BaseGrant, PciIdentity } from "@vfmig/core";
import { z } from "zod";
import { baseFault } from "../kernel-calls.ts";

interface CommonFacts {
  /** PCI address or UUID. */
  readonly name: string;
  /** The kernel driver that has the device, such as `vfio-pci` or `mlx5_vfio_pci`. */
  readonly driver: string;
  /** Absent for a mediated device. */
  readonly pci?: PciIdentity | undefined;
}

/** What the host found out for the device's process. */
export type GrantFacts =
  | (CommonFacts & { readonly path: "group"; readonly group: number })
  | (CommonFacts & { readonly path: "iommufd"; readonly deviceId: number });

const common = {
  name: z.string(),
  driver: z.string(),
  pci: z
    .strictObject({
      vendor: z.int(),
      device: z.int(),
      subsystemVendor: z.int(),
      subsystemDevice: z.int(),
      revision: z.int(),
    })
    .optional(),
};

const schema = z.discriminatedUnion("path", [
  z.strictObject({ ...common, path: z.literal("group"), group: z.int() }),
  z.strictObject({ ...common, path: z.literal("iommufd"), deviceId: z.int() }),
]);

/** A grant whose descriptors are all there. */
export type CheckedGrant =
  | {
      readonly facts: Extract<GrantFacts, { path: "group" }>;
      readonly fds: { readonly device: number; readonly group: number; readonly container: number };
    }
  | {
      readonly facts: Extract<GrantFacts, { path: "iommufd" }>;
      readonly fds: { readonly device: number; readonly iommufd: number };
    };

/** @throws VfmigError `ERR_VFMIG_VFIO_GRANT` for what does not come from the other half of this base */
export function checkGrant({ fds, facts }: BaseGrant): CheckedGrant {
  const parsed = schema.safeParse(facts);
  if (!parsed.success) throw wrong(z.prettifyError(parsed.error), fds);
  const fd = (name: string): number => {
    const value = fds[name];
    if (Number.isInteger(value) && value !== undefined && value >= 0) return value;
    throw wrong(`there is no descriptor "${name}"`, fds);
  };
  if (parsed.data.path === "iommufd") {
    return { facts: parsed.data, fds: { device: fd("device"), iommufd: fd("iommufd") } };
  }
  const group = { device: fd("device"), group: fd("group"), container: fd("container") };
  return { facts: parsed.data, fds: group };
}

function wrong(why: string, fds: BaseGrant["fds"]): Error {
  return baseFault(
    "ERR_VFMIG_VFIO_GRANT",
    `What the host opened does not fit this base: ${why}. Use one version of vfmig in the host and in its device processes.`,
    { fds: Object.keys(fds) },
  );
}
