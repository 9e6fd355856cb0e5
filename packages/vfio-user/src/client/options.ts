import { quietLogger, silentLogger, systemClock } from "@vfmig/core";
import type { Clock, Logger } from "@vfmig/core";
import type { NativeIo, ReceiveBounds } from "@vfmig/linux";
import { within } from "../server/options.ts";

export interface VfioUserClientOptions {
  readonly io: NativeIo;
  /** Unix socket of the server. Either this or `fd`. */
  readonly path?: string;
  /** A connected, non-blocking socket, taken over. */
  readonly fd?: number;
  readonly clock?: Clock;
  readonly logger?: Logger;
  /** Most data in one message, in bytes: 4096 to 64 MiB. Default 1 MiB. */
  readonly maxDataTransferSize?: number;
  /** Limit for a call of the synchronous view, in ms. Default 5,000, as QEMU has it. */
  readonly syncTimeoutMs?: number;
  /** Limit for an asynchronous call, such as a state change, in ms. Default 60,000. */
  readonly callTimeoutMs?: number;
  /**
   * Whether writes to memory BARs wait for their reply: `memory` (default) posts them as QEMU does, unless
   * a region can be mapped; `never` waits each time, so that a refused write is an error here.
   */
  readonly postedWrites?: "memory" | "never";
  /**
   * Whether to ask for the fds of mappable regions. A server counts what it has given as mapped, and may
   * refuse to save such a device; with false every region is reached by messages. Default true.
   */
  readonly regionFds?: boolean;
  /** Offer REGION_WRITE_MULTI, for {@link VfioUserClient.writeRegions}. Default true. */
  readonly writeMultiple?: boolean;
  /**
   * Ask for a second socket for the server's DMA messages, as libvfio-user offers. They work over the
   * first one too, so the default is false.
   */
  readonly twinSocket?: boolean;
  /** Reads that may find nothing before a waiting call sleeps. Default: sleeps at once. */
  readonly wait?: ReceiveBounds;
}

export interface ClientSettings {
  readonly io: NativeIo;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly maxDataTransferSize: number;
  readonly syncTimeoutMs: number;
  readonly callTimeoutMs: number;
  readonly postedWrites: "memory" | "never";
  readonly regionFds: boolean;
  readonly writeMultiple: boolean;
  readonly twinSocket: boolean;
  readonly wait: ReceiveBounds | undefined;
}

const MIB = 1_048_576;
const DAY_MS = 86_400_000;

/** @throws VfmigError `ERR_VFMIG_VFIO_USER_OPTIONS` */
export function clientSettings(options: VfioUserClientOptions): ClientSettings {
  const clock = options.clock ?? systemClock;
  return {
    io: options.io,
    clock,
    logger: options.logger === undefined ? silentLogger : quietLogger(options.logger, clock),
    maxDataTransferSize: within(
      "maxDataTransferSize",
      options.maxDataTransferSize,
      MIB,
      4096,
      64 * MIB,
    ),
    syncTimeoutMs: within("syncTimeoutMs", options.syncTimeoutMs, 5000, 1, DAY_MS),
    callTimeoutMs: within("callTimeoutMs", options.callTimeoutMs, 60_000, 1, DAY_MS),
    postedWrites: options.postedWrites ?? "memory",
    regionFds: options.regionFds ?? true,
    writeMultiple: options.writeMultiple ?? true,
    twinSocket: options.twinSocket ?? false,
    wait: options.wait,
  };
}
