import type {
  BaseAcquireContext,
  BaseContext,
  BaseDefinition,
  BaseGrant,
  Logger,
} from "@vfmig/core";
import { createLinuxIo, type NativeIo } from "@vfmig/linux";
import { acquireDevice } from "./acquire/acquire.ts";
import type { HostEventListener } from "./device/host-events.ts";
import type { VfioPciDevice } from "./device/vfio-pci-device.ts";
import { openGranted } from "./open-device.ts";
import { vfioPciOptions, type VfioPciOptions } from "./options.ts";
import { PACKAGE_VERSION } from "./package-version.ts";
import type { SystemRoots } from "./sysfs/sysfs.ts";

export interface VfioPciBaseSettings extends SystemRoots {
  /** System calls; default: this machine's, loaded when a device is opened. */
  readonly io?: NativeIo;
  /** Told of the host's wish to have a device back, and of its fatal errors. */
  readonly listener?: HostEventListener;
}

/** A base whose device says what the kernel's VFIO offers beyond the common interface. */
export interface VfioPciBase extends BaseDefinition<VfioPciOptions> {
  acquire(context: BaseAcquireContext<VfioPciOptions>): Promise<BaseGrant>;
  open(context: BaseContext<VfioPciOptions>): Promise<VfioPciDevice>;
}

/**
 * A base for devices of the kernel's VFIO. In a host, `acquire` runs with privileges and `open` without;
 * `open` without a grant does both.
 *
 * @example
 * ```ts
 * import { silentLogger, systemClock } from "@vfmig/core";
 * import { createVfioPciBase, vfioPciOptions } from "@vfmig/vfio-pci-base";
 *
 * const base = createVfioPciBase();
 * await using device = await base.open({
 *   device: "vf0",
 *   options: vfioPciOptions.parse({ address: "0000:3b:02.0" }),
 *   logger: silentLogger,
 *   clock: systemClock,
 *   folder: ".",
 *   runtimeFolder: ".",
 * });
 * ```
 */
export function createVfioPciBase(settings: VfioPciBaseSettings = {}): VfioPciBase {
  function open(context: BaseContext<VfioPciOptions>): VfioPciDevice {
    const io = settings.io ?? createLinuxIo();
    const { device, options, logger, clock } = context;
    const grant = context.grant ?? acquireAlone(io, options, settings, logger);
    const listener = listenerOf(settings.listener, context.onHostRequest);
    return openGranted(grant, { io, device, options, logger, clock, listener });
  }

  return {
    name: "vfio-pci",
    version: PACKAGE_VERSION,
    options: vfioPciOptions,
    acquire: ({ options }) =>
      Promise.resolve().then(() =>
        acquireDevice(settings.io ?? createLinuxIo(), options, settings),
      ),
    open: (context) => Promise.resolve().then(() => open(context)),
  };
}

/** Both who made the base and who opened the device hear of the host's wish. */
function listenerOf(
  own: HostEventListener = {},
  onHostRequest: BaseContext["onHostRequest"],
): HostEventListener {
  return {
    ...own,
    onRequest(count) {
      own.onRequest?.(count);
      onHostRequest?.(count);
    },
  };
}

/** Without a host, this process raises its own limit as far as it may. */
function acquireAlone(
  io: NativeIo,
  options: VfioPciOptions,
  roots: SystemRoots,
  logger: Logger,
): BaseGrant {
  const grant = acquireDevice(io, options, roots);
  try {
    if (grant.memoryLock !== undefined) io.raiseMemoryLock(grant.memoryLock);
  } catch {
    // Little memory may fit all the same; a mapping that does not says so.
    logger.debug(
      `The limit of locked memory stays at ${io.memoryLockLimit()} bytes: this process may not raise it.`,
    );
  }
  return grant;
}

const vfioPciBase: VfioPciBase = createVfioPciBase();

export default vfioPciBase;
