import { VfmigError, type VfmigErrorCode } from "@vfmig/core/errors";
import type { IoctlPointer, NativeIo } from "@vfmig/linux";
import type { Command } from "./uapi/commands.ts";

/** The errno of a failed system call; undefined for any other error. */
export function errnoOf(error: unknown): string | undefined {
  if (!VfmigError.is(error) || error.code !== "ERR_VFMIG_SYSTEM_CALL") return undefined;
  const errno = error.details["errno"];
  return typeof errno === "string" ? errno : undefined;
}

/** An error of this base; `what` ends without a full stop, `todo` is a sentence. */
export function baseFault(
  code: VfmigErrorCode,
  message: string,
  details: Readonly<Record<string, unknown>> = {},
  cause?: unknown,
): VfmigError {
  return new VfmigError(code, message, { layer: "base", details, cause });
}

/** Requests to the kernel's VFIO about one device, with errors that say which request and device. */
export class KernelCalls {
  readonly io: NativeIo;
  /** What people call the device: its PCI address or UUID. */
  readonly device: string;

  constructor(io: NativeIo, device: string) {
    this.io = io;
    this.device = device;
  }

  /** @throws VfmigError `ERR_VFMIG_VFIO_UNSUPPORTED`, `ERR_VFMIG_VFIO_GONE`, `ERR_VFMIG_VFIO_CALL` */
  call(
    fd: number,
    command: Command,
    argument: Uint8Array | number = 0,
    pointers: readonly IoctlPointer[] = [],
  ): number {
    try {
      return this.io.ioctl(fd, command.number, argument, pointers);
    } catch (error) {
      throw this.named(command.name, error);
    }
  }

  /** As {@link KernelCalls.call}, in another thread: for what may take longer than a guest should wait. */
  async later(
    fd: number,
    command: Command,
    argument: Uint8Array,
    pointers: readonly IoctlPointer[] = [],
  ): Promise<number> {
    try {
      return await this.io.ioctlLater(fd, command.number, argument, pointers);
    } catch (error) {
      throw this.named(command.name, error);
    }
  }

  /** The error of a failed request in this base's words; an error of another kind comes back as it is. */
  named(request: string, error: unknown, hint = ""): unknown {
    const errno = errnoOf(error);
    if (errno === undefined) return error;
    const where = `${request} on ${this.device} failed with ${errno}`;
    const details = { device: this.device, request, errno };
    if (errno === "ENOTTY") {
      return baseFault(
        "ERR_VFMIG_VFIO_UNSUPPORTED",
        `${where}: the kernel or the device's driver does not know this request${hint}. A newer kernel or another driver may.`,
        details,
        error,
      );
    }
    if (errno === "ENODEV") {
      return baseFault(
        "ERR_VFMIG_VFIO_GONE",
        `${where}: the device was unplugged, or taken from its driver${hint}. Close it here, and open it again when it is back.`,
        details,
        error,
      );
    }
    return baseFault(
      "ERR_VFMIG_VFIO_CALL",
      `${where}${hint}. The kernel's log (dmesg) may say why.`,
      details,
      error,
    );
  }
}

/** The errno with which the kernel refused a {@link KernelCalls.call}. */
export function refusedWith(error: unknown): string | undefined {
  if (!VfmigError.is(error)) return undefined;
  const errno = error.details["errno"];
  return typeof errno === "string" ? errno : undefined;
}
