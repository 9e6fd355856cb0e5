import type { Clock } from "@vfmig/core";
import { baseFault, refusedWith, type KernelCalls } from "../kernel-calls.ts";
import { DEVICE } from "../uapi/commands.ts";
import {
  hotResetCount,
  hotResetInfoRequest,
  hotResetRequest,
  readHotResetInfo,
  type HotResetInfo,
} from "../uapi/device-info.ts";
import { struct } from "../uapi/struct.ts";

/** The kernel answers EAGAIN while something else holds the device's lock. */
const TRIES = 8;
const PAUSE_MS = 25;
/** A bus has 256 functions. */
const DEPENDENT_MAX = 4096;

/** How the device was opened, as far as a reset of its bus depends on it. */
export type Ownership =
  | { readonly path: "group"; readonly group: number; readonly fd: number }
  | { readonly path: "iommufd" };

/** Function level reset, and reset of the whole bus where that is all there is. */
export class Resets {
  readonly #calls: KernelCalls;
  readonly #fd: number;
  readonly #clock: Clock;
  readonly #ownership: Ownership;
  readonly #functionLevel: boolean;

  constructor(parts: {
    readonly calls: KernelCalls;
    readonly fd: number;
    readonly clock: Clock;
    readonly ownership: Ownership;
    /** `VFIO_DEVICE_FLAGS_RESET`. */
    readonly functionLevel: boolean;
  }) {
    this.#calls = parts.calls;
    this.#fd = parts.fd;
    this.#clock = parts.clock;
    this.#ownership = parts.ownership;
    this.#functionLevel = parts.functionLevel;
  }

  /** True where {@link Resets.reset} can do something. */
  get possible(): boolean {
    return this.#functionLevel || this.#hotResetAllowed();
  }

  async reset(): Promise<void> {
    if (this.#functionLevel)
      return this.#patiently(() => void this.#calls.call(this.#fd, DEVICE.RESET));
    return this.hotReset();
  }

  /**
   * Resets the bus, and so every device on it.
   * @throws VfmigError `ERR_VFMIG_DEVICE_RESET` where some of these are not this user's
   */
  async hotReset(): Promise<void> {
    const info = this.hotResetInfo();
    const strangers = this.#strangers(info);
    if (strangers.length > 0) {
      throw baseFault(
        "ERR_VFMIG_DEVICE_RESET",
        `The bus of ${this.#calls.device} cannot be reset: ${strangers.join(", ")} ${strangers.length === 1 ? "is" : "are"} on it too, and not open here. Give all of them to one user, or use a device with a function level reset.`,
        { device: this.#calls.device, others: strangers, errno: "EINVAL" },
      );
    }
    const groups = this.#ownership.path === "group" ? [this.#ownership.fd] : [];
    await this.#patiently(
      () => void this.#calls.call(this.#fd, DEVICE.PCI_HOT_RESET, hotResetRequest(groups).bytes),
    );
  }

  /** Every device that a reset of the bus reaches. */
  hotResetInfo(): HotResetInfo {
    let count = 0;
    for (let tries = 0; tries < 4; tries += 1) {
      const request = hotResetInfoRequest(count);
      try {
        this.#calls.call(this.#fd, DEVICE.GET_PCI_HOT_RESET_INFO, request.bytes);
        return readHotResetInfo(request);
      } catch (error) {
        if (refusedWith(error) !== "ENOSPC") throw error;
        count = Math.min(hotResetCount(request), DEPENDENT_MAX);
      }
    }
    throw baseFault(
      "ERR_VFMIG_VFIO_ANSWER",
      `VFIO_DEVICE_GET_PCI_HOT_RESET_INFO for ${this.#calls.device} asks for more room each time. Report it to the maintainers of its VFIO driver.`,
      { device: this.#calls.device, count },
    );
  }

  #strangers({ owned, byDeviceId, devices }: HotResetInfo): readonly string[] {
    const own = this.#ownership;
    const mine = (id: number): boolean =>
      own.path === "group" ? !byDeviceId && id === own.group : owned || id >= 0;
    return devices.filter(({ id }) => !mine(id)).map(({ address }) => address);
  }

  #hotResetAllowed(): boolean {
    try {
      return this.#strangers(this.hotResetInfo()).length === 0;
    } catch (error) {
      // ENODEV or ENOTTY: no bus or slot that can be reset, or no PCI device at all.
      if (refusedWith(error) === undefined) throw error;
      return false;
    }
  }

  async #patiently(run: () => void): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      try {
        return run();
      } catch (error) {
        if (refusedWith(error) !== "EAGAIN" || tries === TRIES)
          throw resetFault(this.#calls, error);
      }
      // oxlint-disable-next-line no-await-in-loop -- a pause between tries is the point
      await new Promise<void>((resolve) => void this.#clock.after(PAUSE_MS, resolve));
    }
  }
}

function resetFault(calls: KernelCalls, cause: unknown): unknown {
  const errno = refusedWith(cause);
  if (errno === undefined || errno === "ENODEV") return cause;
  return baseFault(
    "ERR_VFMIG_DEVICE_RESET",
    `${calls.device} could not be reset (${errno}${errno === "EAGAIN" ? ", its lock is held" : ""}). Close it and open it again, which resets it too where it can be.`,
    { device: calls.device, errno },
    cause,
  );
}

/** `PCI_COMMAND` in config space, and its bus master bit. */
const COMMAND = 0x04;
const MASTER = 0x4;

/** Switches the device's own DMA on or off; what it does then is up to the rest of its state. */
export function setBusMaster(
  config: {
    read(offset: number, into: Uint8Array): void;
    write(offset: number, from: Uint8Array): void;
  },
  on: boolean,
): void {
  const { bytes, view } = struct(2);
  config.read(COMMAND, bytes);
  const before = view.getUint16(0, true);
  const wanted = on ? before | MASTER : before & ~MASTER;
  // A device that does not answer reads as ones: nothing is written to it.
  if (wanted === before || before === 0xffff) return;
  view.setUint16(0, wanted, true);
  config.write(COMMAND, bytes);
}
