import { rm } from "node:fs/promises";
import { resolve } from "node:path";
import {
  loadConfig,
  type Clock,
  type DriverMode,
  type LoadedConfig,
  type Logger,
} from "@vfmig/core";
import { createLinuxIo } from "@vfmig/linux";
import { acquireFor } from "./acquiring/acquire.ts";
import { DeviceProcess } from "./device-process/device-process.ts";
import { deviceMain } from "./device-process/main-url.ts";
import type { Replaced } from "./device-process/protocol.ts";
import { openGrantChannel } from "./granting/grant-channel.ts";
import { withOptions } from "./opening/with-options.ts";
import { createReplacer, type Acquire } from "./replacing/replacer.ts";
import { makeRuntimeFolder } from "./runtime-folder.ts";
import { checkSocketPath } from "./sockets/check-socket-path.ts";
import { socketPathOf } from "./sockets/socket-path.ts";

export interface HostOptions {
  /** Configuration file, or the folder that holds it. */
  readonly config: string;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Write the vfio-user messages of each device into `<trace>.<device>`, which is made anew. */
  readonly trace?: string | undefined;
  /** How drivers run, whatever the configuration says. */
  readonly mode?: DriverMode | undefined;
  /** Record what passes between each device and its user into `<record>.<device>`, which is made anew. */
  readonly record?: string | undefined;
  /** Taken in place of the same options in the configuration, for every device that has a driver. */
  readonly driverOptions?: Readonly<Record<string, unknown>> | undefined;
  /**
   * Milliseconds that a device may take to open, the import of its packages included; default 30,000. A slow
   * machine starts processes slowly.
   */
  readonly openLimitMs?: number | undefined;
  /** The same as `driverOptions` for the bases. */
  readonly baseOptions?: Readonly<Record<string, unknown>> | undefined;
}

/** Served devices, each in its own process; ends them all when it is disposed. */
export interface Host extends AsyncDisposable {
  readonly loaded: LoadedConfig;
  /** In the configuration's order, without those that stand by. */
  readonly devices: readonly DeviceProcess[];
  /** Folder of this run's sockets. */
  readonly runtimeFolder: string;
  readonly logger: Logger;
  /**
   * Lets the device of another entry take the place of a served one, while its client goes on.
   * @param name the served device
   * @param entry one with `standby`, or one whose place another has taken
   * @throws VfmigError `ERR_VFMIG_HOST_NO_DEVICE`, `ERR_VFMIG_HOST_STANDBY`, or why it could not; the device that was
   * there goes on
   */
  replace(name: string, entry: string): Promise<Replaced>;
}

/**
 * Serves every device of a configuration. If one cannot be opened, those that were are closed again.
 *
 * @example
 * ```ts
 * import { silentLogger, systemClock } from "@vfmig/core";
 * import { openHost } from "@vfmig/host";
 *
 * await using host = await openHost({ config: ".", logger: silentLogger, clock: systemClock });
 * for (const device of host.devices) console.log(device.name, device.socketPath);
 * ```
 *
 * @throws VfmigError of the configuration, or what opening a device threw in its process
 */
export async function openHost(options: HostOptions): Promise<Host> {
  const { logger, clock } = options;
  const loaded = await loadConfig(options.config);
  const runtimeFolder = await makeRuntimeFolder(logger);
  await checkSockets(loaded, runtimeFolder);
  const main = deviceMain();
  const acquire: Acquire = (entry, where) =>
    acquireFor(withOptions(entry, options), where, {
      folder: loaded.folder,
      runtimeFolder,
      logger,
      clock,
      openLimitMs: options.openLimitMs,
    });
  // Only where another device may come later: else a process has all that it needs from the start.
  const standby = loaded.config.devices.some((entry) => entry.standby === true);
  const started = await Promise.allSettled(
    loaded.config.devices.map(async (entry, index) => {
      if (entry.standby === true) return undefined;
      const { name } = entry;
      // Closed here once the process has its own.
      using acquired = await acquire(entry, `devices[${index}]`);
      return await DeviceProcess.open({
        start: {
          configFile: loaded.file,
          device: name,
          runtimeFolder,
          ...(options.trace === undefined ? {} : { traceFile: traceFileOf(options.trace, name) }),
          ...(options.mode === undefined ? {} : { mode: options.mode }),
          ...(options.record === undefined
            ? {}
            : { recordFile: traceFileOf(options.record, name) }),
          ...(options.driverOptions === undefined ? {} : { driverOptions: options.driverOptions }),
          ...(options.baseOptions === undefined ? {} : { baseOptions: options.baseOptions }),
        },
        main,
        clock,
        logger,
        grant: acquired?.grant,
        channel: standby ? openGrantChannel(createLinuxIo()) : undefined,
        onStarted: acquired?.onStarted,
        ...(options.openLimitMs === undefined ? {} : { openLimitMs: options.openLimitMs }),
      });
    }),
  );
  const devices = started.flatMap((result) =>
    result.status === "fulfilled" && result.value !== undefined ? [result.value] : [],
  );
  const close = async (): Promise<void> => {
    // One after the other: a device may stand on one that comes later in the configuration.
    for (const device of devices) await device[Symbol.asyncDispose]().catch(() => {});
    await rm(runtimeFolder, { recursive: true, force: true });
  };
  const failed = started.find((result) => result.status === "rejected");
  if (failed !== undefined) {
    await close();
    throw failed.reason;
  }
  const replace = createReplacer(loaded, devices, acquire);
  return { loaded, devices, runtimeFolder, logger, replace, [Symbol.asyncDispose]: close };
}

/** Before any device is opened: what is wrong with one path is known at once. */
async function checkSockets(
  { config, folder }: LoadedConfig,
  runtimeFolder: string,
): Promise<void> {
  try {
    for (const entry of config.devices.filter(({ standby }) => standby !== true)) {
      const path = socketPathOf(entry, { folder, runtimeFolder });
      await checkSocketPath(`The socket of device "${entry.name}"`, path);
    }
  } catch (error) {
    await rm(runtimeFolder, { recursive: true, force: true });
    throw error;
  }
}

/** Where the trace or the recording of one device goes. */
export function traceFileOf(trace: string, device: string): string {
  return resolve(`${trace}.${device}`);
}
