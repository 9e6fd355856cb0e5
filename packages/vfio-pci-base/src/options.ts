import { z } from "zod";
import { isUuid } from "./sysfs/device-name.ts";

/** The `options` of this base in a configuration. */
export interface VfioPciOptions {
  /** PCI address, such as `0000:3b:02.0`. Either this or `uuid`. */
  readonly address?: string | undefined;
  /** UUID of a mediated device. */
  readonly uuid?: string | undefined;
  /** Which way to the device: what the kernel has (`auto`, iommufd first), or one of them. */
  readonly path: "auto" | "group" | "iommufd";
  /** The UUID with which the owner of the PF protects its VFs. */
  readonly vfToken?: string | undefined;
  /**
   * Regions that a client may map: `none`, so that each access passes this process; or `direct`, which
   * hands the client the device's own descriptor, and so the whole device with all its requests.
   */
  readonly mmap: "none" | "direct";
  /** Let the IOMMU log the device's writes where it can (iommufd only). */
  readonly iommuDirty: boolean;
}

/** Checks the options; strict, so that a misspelt one is found. */
export const vfioPciOptions: z.ZodType<VfioPciOptions> = z
  .strictObject({
    address: z.string().optional(),
    uuid: z.string().refine(isUuid, "is no UUID").optional(),
    path: z.enum(["auto", "group", "iommufd"]).default("auto"),
    vfToken: z.string().refine(isUuid, "is no UUID").optional(),
    mmap: z.enum(["none", "direct"]).default("none"),
    iommuDirty: z.boolean().default(true),
  })
  .refine(({ address, uuid }) => (address === undefined) !== (uuid === undefined), {
    message: "needs either address or uuid",
    path: ["address"],
  });

/** The one of address and UUID that is given. */
export function nameOf({ address, uuid }: VfioPciOptions): string {
  return address ?? uuid ?? "";
}
