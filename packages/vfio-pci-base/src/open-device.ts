import type { BaseGrant, Clock, Logger } from "@vfmig/core";
import type { NativeIo } from "@vfmig/linux";
import { checkGrant, type CheckedGrant } from "./acquire/facts.ts";
import type { HostEventListener } from "./device/host-events.ts";
import { KernelVfioDevice, type VfioPciDevice } from "./device/vfio-pci-device.ts";
import { openContainer } from "./dma/container.ts";
import { openIoas } from "./dma/ioas.ts";
import type { IoSpace } from "./dma/io-space.ts";
import { KernelCalls } from "./kernel-calls.ts";
import type { VfioPciOptions } from "./options.ts";
import { PACKAGE_VERSION } from "./package-version.ts";

export interface OpenOptions {
  readonly io: NativeIo;
  /** The device's name in the configuration. */
  readonly device: string;
  readonly options: Pick<VfioPciOptions, "mmap" | "iommuDirty">;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly listener?: HostEventListener | undefined;
}

/**
 * The unprivileged half: builds the device from what {@link acquireDevice} opened. Takes the descriptors
 * over, and closes them also where it fails.
 *
 * @throws VfmigError `ERR_VFMIG_VFIO_GRANT`, `ERR_VFMIG_VFIO_ANSWER`, `ERR_VFMIG_VFIO_GONE`,
 * `ERR_VFMIG_VFIO_CALL`
 */
export function openGranted(grant: BaseGrant, options: OpenOptions): VfioPciDevice {
  const { io } = options;
  let space: IoSpace | undefined;
  try {
    const checked = checkGrant(grant);
    const calls = new KernelCalls(io, checked.facts.name);
    const { dirtyTable, ...opened } = openSpace(calls, checked, options.options.iommuDirty);
    space = opened.space;
    return new KernelVfioDevice({
      calls,
      grant: checked,
      space,
      dirtyTable,
      device: options.device,
      version: PACKAGE_VERSION,
      direct: options.options.mmap === "direct",
      logger: options.logger,
      clock: options.clock,
      listener: options.listener ?? {},
    });
  } catch (error) {
    undo(io, grant, space);
    throw error;
  }
}

function openSpace(
  calls: KernelCalls,
  { facts, fds }: CheckedGrant,
  dirty: boolean,
): { readonly space: IoSpace; readonly dirtyTable: number | undefined } {
  if (facts.path === "iommufd" && "iommufd" in fds) {
    const space = openIoas(calls, { ...fds, deviceId: facts.deviceId }, dirty);
    return { space, dirtyTable: space.dirtyTable };
  }
  const { container, group } = fds as { readonly container: number; readonly group: number };
  return { space: openContainer(calls, { container, group }), dirtyTable: undefined };
}

/** The first failure is the one to tell; closing the descriptors undoes whatever is left. */
function undo(io: NativeIo, { fds }: BaseGrant, space: IoSpace | undefined): void {
  const quietly = (run: () => void): void => {
    try {
      run();
    } catch {
      // Nothing more can be done about it.
    }
  };
  const { device, ...others } = fds;
  if (space !== undefined) quietly(() => space.detach());
  if (device !== undefined) quietly(() => io.close(device));
  if (space !== undefined) quietly(() => space.close());
  for (const fd of Object.values(others)) quietly(() => io.close(fd));
}
