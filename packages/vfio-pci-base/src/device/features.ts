import { refusedWith, type KernelCalls } from "../kernel-calls.ts";
import { DEVICE } from "../uapi/commands.ts";
import { featureRequest, FEATURE_FLAG } from "../uapi/feature.ts";
import type { IoctlPointer } from "@vfmig/linux";
import type { Struct } from "../uapi/struct.ts";

export type Direction = "get" | "set";

const DIRECTION = { get: FEATURE_FLAG.GET, set: FEATURE_FLAG.SET } as const;

/** `VFIO_DEVICE_FEATURE` on one device. What a kernel knows is always probed, never told by its version. */
export class Features {
  readonly #calls: KernelCalls;
  readonly #fd: number;

  constructor(calls: KernelCalls, fd: number) {
    this.#calls = calls;
    this.#fd = fd;
  }

  /** True where the device has the feature in that direction. */
  has(id: number, direction: Direction): boolean {
    const request = featureRequest(id, FEATURE_FLAG.PROBE | DIRECTION[direction], 0);
    try {
      this.#calls.call(this.#fd, DEVICE.FEATURE, request.bytes);
      return true;
    } catch (error) {
      const errno = refusedWith(error);
      if (errno === "ENOTTY" || errno === "EINVAL") return false;
      throw error;
    }
  }

  /** A request whose data, `dataBytes` of them, begin at byte 8. */
  request(id: number, direction: Direction, dataBytes: number): Struct {
    return featureRequest(id, DIRECTION[direction], dataBytes);
  }

  run(request: Struct, pointers: readonly IoctlPointer[] = []): number {
    return this.#calls.call(this.#fd, DEVICE.FEATURE, request.bytes, pointers);
  }

  runLater(request: Struct, pointers: readonly IoctlPointer[] = []): Promise<number> {
    return this.#calls.later(this.#fd, DEVICE.FEATURE, request.bytes, pointers);
  }
}
