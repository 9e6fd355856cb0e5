import { VfmigError } from "@vfmig/core";

/** Linux errno values (`asm-generic/errno.h`), which the protocol carries on every system. */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  EIO: 5,
  E2BIG: 7,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  ENOTTY: 25,
  ENOSPC: 28,
  ENOSYS: 38,
  EOPNOTSUPP: 95,
  ETIMEDOUT: 110,
  ECANCELED: 125,
} as const;

export type ErrnoName = keyof typeof ERRNO;

const errnoNames = new Map<number, string>(
  Object.entries(ERRNO).map(([name, value]) => [value, name]),
);

/** `EINVAL (22)`, or the bare number. */
export function describeErrno(errno: number): string {
  const name = errnoNames.get(errno);
  return name === undefined ? `errno ${errno}` : `${name} (${errno})`;
}

/** What a device's error becomes on the wire. Codes that are not here, and other errors, are EIO. */
const errnoByCode: ReadonlyMap<string, number> = new Map([
  ["ERR_VFMIG_REGION_INDEX", ERRNO.EINVAL],
  ["ERR_VFMIG_REGION_RANGE", ERRNO.EINVAL],
  ["ERR_VFMIG_REGION_ACCESS", ERRNO.EACCES],
  ["ERR_VFMIG_IRQ_REQUEST", ERRNO.EINVAL],
  ["ERR_VFMIG_DMA_MAP", ERRNO.EINVAL],
  ["ERR_VFMIG_DMA_UNMAP", ERRNO.ENOENT],
  ["ERR_VFMIG_GUEST_ADDRESS", ERRNO.EFAULT],
  ["ERR_VFMIG_MAPPING_CONFLICT", ERRNO.EBUSY],
  ["ERR_VFMIG_MAPPING_REFUSED", ERRNO.EINVAL],
  ["ERR_VFMIG_DMA_LOGGING_REQUEST", ERRNO.EINVAL],
  ["ERR_VFMIG_DMA_LOGGING_STATE", ERRNO.EINVAL],
  ["ERR_VFMIG_SUB_DRIVER_TIMEOUT", ERRNO.ETIMEDOUT],
  ["ERR_VFMIG_DEVICE_CLOSED", ERRNO.ENODEV],
  ["ERR_VFMIG_MIGRATION_STATE", ERRNO.EINVAL],
  ["ERR_VFMIG_MIGRATION_BLOCKED", ERRNO.EINVAL],
  ["ERR_VFMIG_MIGRATION_TIMEOUT", ERRNO.ETIMEDOUT],
  ["ERR_VFMIG_MIGRATION_CANCELLED", ERRNO.ECANCELED],
  ["ERR_VFMIG_MIGRATION_REENTRY", ERRNO.EBUSY],
  ["ERR_VFMIG_MIGRATION_SESSION", ERRNO.EINVAL],
  ["ERR_VFMIG_MIGRATION_INCOMPATIBLE", ERRNO.EINVAL],
]);

/** The errno for an error reply. */
export function errnoOf(error: unknown): number {
  if (!VfmigError.is(error)) return ERRNO.EIO;
  // System call errors carry the name beside the number, refusals of devices one of them.
  const carried = error.details["errnoNumber"] ?? error.details["errno"];
  if (typeof carried === "number" && Number.isInteger(carried) && carried > 0 && carried < 4096) {
    return carried;
  }
  if (typeof carried === "string" && isErrnoName(carried)) return ERRNO[carried];
  return errnoByCode.get(error.code) ?? ERRNO.EIO;
}

function isErrnoName(name: string): name is ErrnoName {
  return Object.hasOwn(ERRNO, name);
}

/** The error of a request that a server refuses with `errno`. */
export function refusal(
  errno: ErrnoName,
  message: string,
  details: Readonly<Record<string, unknown>> = {},
): VfmigError {
  return new VfmigError("ERR_VFMIG_VFIO_USER_REQUEST", message, {
    layer: "vfio-user",
    details: { ...details, errno: ERRNO[errno] },
  });
}
