import {
  parseOptions,
  VfmigError,
  type BaseGrant,
  type Clock,
  type DeviceConfig,
  type Logger,
} from "@vfmig/core";
import { createLinuxIo, type NativeIo } from "@vfmig/linux";
import { DEFAULT_OPEN_LIMIT_MS, notOpenInTime } from "../device-process/stalled.ts";
import { importBase } from "../opening/import-base.ts";
import { within } from "../opening/within.ts";

interface Surroundings {
  /** Of the configuration. */
  readonly folder: string;
  readonly runtimeFolder: string;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Milliseconds that the base may take here to be imported and to open what it needs; default 30,000. */
  readonly openLimitMs?: number | undefined;
}

/** What a base opened with the host's rights; disposing it closes the host's own descriptors. */
export interface Acquired extends Disposable {
  readonly grant: BaseGrant;
  /** Gives the process of the device the rights that go with it. */
  readonly onStarted: (pid: number) => void;
}

/**
 * Runs the privileged half of a device's base here; undefined where the base has none.
 *
 * @param where the device's path in the configuration, such as `devices[0]`
 * @throws VfmigError of the configuration, `ERR_VFMIG_HOST_STALLED`, or what the base threw
 */
export async function acquireFor(
  entry: DeviceConfig,
  where: string,
  surroundings: Surroundings,
  loadIo: () => NativeIo = createLinuxIo,
): Promise<Acquired | undefined> {
  const { openLimitMs = DEFAULT_OPEN_LIMIT_MS, ...around } = surroundings;
  const { package: name } = entry.base;
  const bounded = <T>(step: string, work: Promise<T>): Promise<T> =>
    within(around.clock, openLimitMs, work, () => notOpenInTime(entry.name, step, openLimitMs));
  const base = await bounded(
    `importing the base "${name}"`,
    importBase(name, where, around.folder),
  );
  if (base.acquire === undefined) return undefined;
  const options = parseOptions(base, entry.base.options, `${where}.base.options`);
  const grant: unknown = await bounded(
    `opening what the base "${name}" needs`,
    base.acquire({ device: entry.name, options, ...around }),
  );
  if (!isGrant(grant)) {
    throw new VfmigError(
      "ERR_VFMIG_HOST_MODULE",
      `${where}.base.package: the acquire() of "${entry.base.package}" gave no descriptors and facts. Report it to the maker of the base.`,
      { layer: "host", details: { where, package: entry.base.package } },
    );
  }
  const io = loadIo();
  const { memoryLock } = grant;
  return {
    grant,
    onStarted(pid) {
      if (memoryLock !== undefined) raise(io, memoryLock, pid, entry.name, surroundings.logger);
    },
    [Symbol.dispose]() {
      for (const fd of Object.values(grant.fds)) io.close(fd);
    },
  };
}

/** A host without the right goes on: little memory may fit, and a mapping that does not says so. */
function raise(io: NativeIo, bytes: bigint, pid: number, device: string, logger: Logger): void {
  try {
    io.raiseMemoryLock(bytes, pid);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    logger.warn(
      `The process of "${device}" may lock no more memory than this host: ${why}. Guests with more memory than that cannot be given the device; run the host as root, or with CAP_SYS_RESOURCE.`,
      { device },
    );
  }
}

function isGrant(value: unknown): value is BaseGrant {
  if (typeof value !== "object" || value === null) return false;
  if (!("fds" in value) || !("facts" in value)) return false;
  const { fds, facts } = value;
  if (typeof fds !== "object" || fds === null || typeof facts !== "object") return false;
  return Object.values(fds).every((fd) => Number.isInteger(fd) && Number(fd) >= 0);
}
