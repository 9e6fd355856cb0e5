import { readFile, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import {
  loadConfig,
  readRecording,
  VfmigError,
  type Clock,
  type DriverMode,
  type Interposition,
  type LoadedConfig,
  type Logger,
  type Recording,
} from "@vfmig/core";
import { acquireFor } from "../acquiring/acquire.ts";
import { DeviceProcess } from "../device-process/device-process.ts";
import { deviceMain } from "../device-process/main-url.ts";
import { withOptions } from "../opening/with-options.ts";
import { makeRuntimeFolder } from "../runtime-folder.ts";

/** Milliseconds that one replay may take. */
const LIMIT_MS = 600_000;

export interface ReplayFileOptions {
  /** The recording. */
  readonly file: string;
  /** Configuration file, or the folder that holds it. */
  readonly config: string;
  /** Name of the device in it; default: the only one. */
  readonly device?: string | undefined;
  readonly mode: DriverMode;
  /** Where the replay is recorded; default: nowhere that stays. */
  readonly output?: string | undefined;
  /** What a transparent driver passes through; default: everything. */
  readonly interposed?: Interposition | undefined;
  readonly logger: Logger;
  readonly clock: Clock;
}

/**
 * Replays a recording against a fresh device of a configuration, in a process of its own.
 * @throws VfmigError of the configuration, `ERR_VFMIG_RECORDING_FORMAT`, `ERR_VFMIG_REPLAY`,
 * `ERR_VFMIG_HOST_NO_DEVICE`, or what opening the device threw
 */
export async function replayFile(options: ReplayFileOptions): Promise<Recording> {
  const { mode, logger, clock } = options;
  const loaded = await loadConfig(options.config);
  const { folder } = loaded;
  const index = indexOf(loaded, options.device);
  const entry = loaded.config.devices[index];
  if (entry === undefined) throw noDevice(loaded, options.device);
  const runtimeFolder = await makeRuntimeFolder(logger);
  const output = resolve(options.output ?? join(runtimeFolder, `${mode}.recording`));
  try {
    using acquired = await acquireFor(withOptions(entry, { mode }), `devices[${index}]`, {
      folder,
      runtimeFolder,
      logger,
      clock,
    });
    const process = await DeviceProcess.open({
      start: {
        configFile: loaded.file,
        device: entry.name,
        runtimeFolder,
        mode,
        replay: { file: resolve(options.file), output },
        ...(options.interposed === undefined ? {} : { interposed: options.interposed }),
      },
      main: deviceMain(),
      clock,
      logger,
      openLimitMs: LIMIT_MS,
      grant: acquired?.grant,
      onStarted: acquired?.onStarted,
    });
    await process[Symbol.asyncDispose]();
    return await readRecording(await readFile(output));
  } finally {
    await rm(runtimeFolder, { recursive: true, force: true });
  }
}

function indexOf({ config }: LoadedConfig, name: string | undefined): number {
  if (name === undefined) return config.devices.length === 1 ? 0 : -1;
  return config.devices.findIndex((device) => device.name === name);
}

function noDevice({ config, file }: LoadedConfig, name: string | undefined): VfmigError {
  const names = config.devices.map((device) => `"${device.name}"`).join(", ");
  const what =
    name === undefined
      ? `${file} has several devices (${names}), so name one with --device.`
      : `${file} has no device "${name}"; it has ${names}.`;
  return new VfmigError("ERR_VFMIG_HOST_NO_DEVICE", what, {
    layer: "host",
    details: { device: name },
  });
}
