import { VfmigError, silentLogger, systemClock } from "@vfmig/core";
import type { Clock, Logger, VfioDevice } from "@vfmig/core";
import type { NativeIo, ReceiveBounds } from "@vfmig/linux";

export interface VfioUserServerOptions {
  readonly io: NativeIo;
  /** What is served. It stays the caller's: closing the server does not close it. */
  readonly device: VfioDevice;
  /** Unix socket to listen on. Either this or `fd`. */
  readonly path?: string;
  /** A connected socket, taken over; the server ends with it. */
  readonly fd?: number;
  readonly logger?: Logger;
  readonly clock?: Clock;
  /** Most data in one message, in bytes: 4096 to 64 MiB (QEMU's limit). Default 1 MiB. */
  readonly maxDataTransferSize?: number;
  /** Most DMA mappings of a client, 1 to 65535. Default 65535. */
  readonly maxDmaMaps?: number;
  /** Largest dirty bitmap in bytes, 4096 to 256 MiB. Default 32 MiB, which is 1 TiB of 4 KiB pages. */
  readonly maxBitmapSize?: number;
  /**
   * How long to look for the next message before the event loop runs again. Absent: not at all. Shortens
   * the round trip of a client on another CPU at the price of this one's time.
   */
  readonly wait?: ReceiveBounds;
  /** Asked when a client goes: true leaves the device as it is, for a hand-over. Default: it is reset. */
  readonly keepOnDisconnect?: boolean | (() => boolean);
  /** Limit for the device to let go of a client that has gone, in ms. Default 10,000. */
  readonly teardownTimeoutMs?: number;
  /** Told of each client that has negotiated, and of each that has gone and been cleaned up after. */
  readonly onClient?: (event: "connected" | "gone") => void;
}

/** The options with their defaults, checked. */
export interface ServerSettings {
  readonly io: NativeIo;
  readonly device: VfioDevice;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly maxDataTransferSize: number;
  readonly maxDmaMaps: number;
  readonly maxBitmapSize: number;
  readonly wait: ReceiveBounds | undefined;
  readonly keepOnDisconnect: () => boolean;
  readonly teardownTimeoutMs: number;
  readonly onClient: (event: "connected" | "gone") => void;
}

const MIB = 1_048_576;

/** @throws VfmigError `ERR_VFMIG_VFIO_USER_OPTIONS` */
export function serverSettings(options: VfioUserServerOptions): ServerSettings {
  if ((options.path === undefined) === (options.fd === undefined)) {
    throw optionError("path", "give either a path to listen on or a connected fd");
  }
  const keep = options.keepOnDisconnect ?? false;
  return {
    io: options.io,
    device: options.device,
    logger: options.logger ?? silentLogger,
    clock: options.clock ?? systemClock,
    maxDataTransferSize: within(
      "maxDataTransferSize",
      options.maxDataTransferSize,
      MIB,
      4096,
      64 * MIB,
    ),
    maxDmaMaps: within("maxDmaMaps", options.maxDmaMaps, 65_535, 1, 65_535),
    maxBitmapSize: within("maxBitmapSize", options.maxBitmapSize, 32 * MIB, 4096, 256 * MIB),
    wait: options.wait,
    keepOnDisconnect: typeof keep === "function" ? keep : () => keep,
    teardownTimeoutMs: within("teardownTimeoutMs", options.teardownTimeoutMs, 10_000, 1, 3_600_000),
    onClient: options.onClient ?? (() => {}),
  };
}

/** `value`, or `fallback` where absent, if it is an integer from `least` to `most`. */
export function within(
  name: string,
  value: number | undefined,
  fallback: number,
  least: number,
  most: number,
): number {
  const chosen = value ?? fallback;
  if (Number.isInteger(chosen) && chosen >= least && chosen <= most) return chosen;
  throw optionError(name, `${chosen} is no integer from ${least} to ${most}`);
}

function optionError(name: string, problem: string): VfmigError {
  return new VfmigError("ERR_VFMIG_VFIO_USER_OPTIONS", `vfio-user option ${name}: ${problem}`, {
    layer: "vfio-user",
    details: { option: name },
  });
}
