import { VfmigError, quietLogger, silentLogger, systemClock } from "@vfmig/core";
import type { Clock, Logger, VfioDevice } from "@vfmig/core";
import type { NativeIo } from "@vfmig/linux";
import type { RegionIoFd } from "../codec/region-io-fds.ts";
import type { ClientQuirk } from "../peers/peer-faults.ts";
import type { TraceSink } from "../trace/tracer.ts";
import type { WaitPolicy } from "../transport/wait-policy.ts";
import type { MemoryFilePolicy } from "./memory-files.ts";

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
   * Whether to look for a client's next message before the event loop runs again. `adaptive` (default):
   * while a client asks again promptly after each answer, at most 50 us for a message and 0.5 ms in a
   * turn; an idle client costs nothing. `none`: never. Bounds: after each answer, for that long.
   */
  readonly wait?: WaitPolicy;
  /** Asked when a client goes: true leaves the device as it is, for a hand-over. Default: it is reset. */
  readonly keepOnDisconnect?: boolean | (() => boolean);
  /** Limit for the device to let go of a client that has gone, in ms. Default 10,000. */
  readonly teardownTimeoutMs?: number;
  /** Told of each client that has negotiated, and of each that has gone and been cleaned up after. */
  readonly onClient?: (event: "connected" | "gone") => void;
  /** Limit for a client's answer to a DMA message, in ms. Default 5,000. */
  readonly dmaTimeoutMs?: number;
  /**
   * Files that may be guest memory. `in-memory` (default): memfds and files on tmpfs or hugetlbfs.
   * `sealed`: of these only such that nobody can shrink, since a client that truncates its file ends the
   * process that serves it. `any`: also files on disks and devices such as `/dev/dax`.
   */
  readonly memoryFiles?: MemoryFilePolicy;
  /**
   * Compare guest memory with what the client says of it, when the device first reaches for it: a guest
   * with private memory (`share=off`) is refused then. `auto` (default): for clients that are known to
   * take DMA messages.
   */
  readonly checkSharing?: boolean | "auto";
  /** Faults of the client to allow for; the README's table says which client has which. */
  readonly clientQuirks?: readonly ClientQuirk[];
  /** Offer REGION_WRITE_MULTI. Default false: QEMU 10.2 handles it wrongly. */
  readonly writeMultiple?: boolean;
  /** Give a client that can have it a second socket for DMA messages. Default true. */
  readonly twinSocket?: boolean;
  /** The io fds of a region; they stay the caller's. Default: none. */
  readonly ioFds?: (region: number) => readonly RegionIoFd[];
  /** Takes a line for each message, with the first bytes of its data. Costs nothing where absent. */
  readonly trace?: TraceSink;
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
  readonly wait: WaitPolicy;
  readonly keepOnDisconnect: () => boolean;
  readonly teardownTimeoutMs: number;
  readonly onClient: (event: "connected" | "gone") => void;
  readonly dmaTimeoutMs: number;
  readonly memoryFiles: MemoryFilePolicy;
  readonly checkSharing: boolean | "auto";
  readonly clientQuirks: readonly ClientQuirk[];
  readonly writeMultiple: boolean;
  readonly twinSocket: boolean;
  readonly ioFds: (region: number) => readonly RegionIoFd[];
  readonly trace: TraceSink | undefined;
}

const MIB = 1_048_576;

/** @throws VfmigError `ERR_VFMIG_VFIO_USER_OPTIONS` */
export function serverSettings(options: VfioUserServerOptions): ServerSettings {
  if ((options.path === undefined) === (options.fd === undefined)) {
    throw optionError("path", "give either a path to listen on or a connected fd");
  }
  const keep = options.keepOnDisconnect ?? false;
  const clock = options.clock ?? systemClock;
  return {
    io: options.io,
    device: options.device,
    // One for all clients: a new connection does not buy new lines.
    logger: options.logger === undefined ? silentLogger : quietLogger(options.logger, clock),
    clock,
    maxDataTransferSize: within(
      "maxDataTransferSize",
      options.maxDataTransferSize,
      MIB,
      4096,
      64 * MIB,
    ),
    maxDmaMaps: within("maxDmaMaps", options.maxDmaMaps, 65_535, 1, 65_535),
    maxBitmapSize: within("maxBitmapSize", options.maxBitmapSize, 32 * MIB, 4096, 256 * MIB),
    wait: options.wait ?? "adaptive",
    keepOnDisconnect: typeof keep === "function" ? keep : () => keep,
    teardownTimeoutMs: within("teardownTimeoutMs", options.teardownTimeoutMs, 10_000, 1, 3_600_000),
    onClient: options.onClient ?? (() => {}),
    dmaTimeoutMs: within("dmaTimeoutMs", options.dmaTimeoutMs, 5000, 1, 3_600_000),
    memoryFiles: options.memoryFiles ?? "in-memory",
    checkSharing: options.checkSharing ?? "auto",
    clientQuirks: options.clientQuirks ?? [],
    writeMultiple: options.writeMultiple ?? false,
    twinSocket: options.twinSocket ?? true,
    ioFds: options.ioFds ?? (() => []),
    trace: options.trace,
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
