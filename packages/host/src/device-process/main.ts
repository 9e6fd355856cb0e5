import "reflect-metadata";
import {
  loadConfig,
  quietLogger,
  systemClock,
  VfmigError,
  type ComposedDevice,
  type Logger,
  type VfioDevice,
} from "@vfmig/core";
import { createLinuxIo, type NativeIo } from "@vfmig/linux";
import { container } from "tsyringe";
import { createVfioUserServer } from "@vfmig/vfio-user";
import { join } from "node:path";
import { DeviceOpener, type OpenedDevice } from "../opening/device-opener.ts";
import { TOKENS } from "../opening/tokens.ts";
import { withOptions } from "../opening/with-options.ts";
import type { DeviceMessage, DeviceStart, HostMessage, LogLevel } from "./protocol.ts";
import { recordIntoFile, replayIntoFile } from "./recording-file.ts";
import { openTraceFile } from "./trace-file.ts";
import { toWireError } from "./wire-error.ts";

/** A device's process: opens what the configuration names, serves it, and answers its host. */
async function main(start: DeviceStart): Promise<void> {
  // What guests and clients cause must not fill the host's log.
  const logger = quietLogger(hostLogger(), systemClock, { burst: 512, perSecond: 64 });
  const io = createLinuxIo();
  const scope = container.createChildContainer();
  scope.registerInstance(TOKENS.clock, systemClock);
  scope.registerInstance(TOKENS.logger, logger);
  scope.registerInstance(TOKENS.io, io);

  const { config, folder } = await loadConfig(start.configFile);
  const index = config.devices.findIndex((device) => device.name === start.device);
  const entry = config.devices[index];
  if (entry === undefined) throw noDevice(start, config.devices);
  const { runtimeFolder, grant } = start;
  const opened = await scope
    .resolve(DeviceOpener)
    .open(withOptions(entry, start), `devices[${index}]`, {
      folder,
      runtimeFolder,
      grant,
      interposed: start.interposed,
    });
  if (start.replay !== undefined) return await replayHere(opened, start.replay, io, logger);
  const recorder =
    start.recordFile === undefined
      ? undefined
      : recordIntoFile(opened, start.recordFile, io, systemClock, logger);
  const path =
    entry.socket === undefined
      ? join(runtimeFolder, `${entry.name}.sock`)
      : join(folder, entry.socket);
  const trace =
    start.traceFile === undefined ? undefined : openTraceFile(start.traceFile, systemClock, logger);
  const server = createVfioUserServer({
    io,
    device: recorder ?? opened.device,
    path,
    logger,
    ...(trace === undefined ? {} : { trace: trace.write }),
  });

  const stop = async (): Promise<void> => {
    await server[Symbol.asyncDispose]();
    trace?.[Symbol.dispose]();
    await (recorder ?? opened.device)[Symbol.asyncDispose]();
  };
  process.on("message", (message) => void answer(message as HostMessage, opened, stop));
  // A host that dies takes its devices with it: nobody is left to ask for them.
  process.once("disconnect", () => process.exit(0));
  const { identity } = opened.device.info;
  say({ say: "ready", identity, socketPath: path, mode: opened.mode });
}

/** Replays instead of serving; the device is closed before the host hears that it is done. */
async function replayHere(
  opened: OpenedDevice,
  replay: NonNullable<DeviceStart["replay"]>,
  io: NativeIo,
  logger: Logger,
): Promise<void> {
  const { identity } = opened.device.info;
  await replayIntoFile(opened, replay, io, systemClock, logger);
  const done = { device: opened.device, composed: undefined, mode: opened.mode };
  process.on("message", (message) => void answer(message as HostMessage, done, async () => {}));
  process.once("disconnect", () => process.exit(0));
  say({ say: "ready", identity, socketPath: "", mode: opened.mode });
}

async function answer(
  message: HostMessage,
  opened: OpenedDevice,
  stop: () => Promise<void>,
): Promise<void> {
  try {
    say({ say: "answer", id: message.id, value: await ask(message, opened, stop) });
  } catch (error) {
    say({ say: "refusal", id: message.id, error: toWireError(error) });
  }
  if (message.ask === "stop") process.disconnect();
}

async function ask(
  message: HostMessage,
  { device, composed }: OpenedDevice,
  stop: () => Promise<void>,
): Promise<unknown> {
  switch (message.ask) {
    case "describe":
      return describable(device, composed).describe();
    case "compare":
      return describable(device, composed).compare(message.source);
    case "status":
      return composed?.driverStatus() ?? {};
    case "stop":
      await stop();
      return null;
  }
}

function describable(
  device: VfioDevice,
  composed: OpenedDevice["composed"],
): ComposedDevice["description"] {
  if (composed !== undefined && device.migration !== undefined) return composed.description;
  const { device: name, driver, base } = device.info.identity;
  const what =
    driver === undefined
      ? `runs on its base alone (${base.name})`
      : `is driven by ${driver.name}, which gives no migration`;
  throw new VfmigError(
    "ERR_VFMIG_HOST_NO_MIGRATION",
    `Device "${name}" ${what}, so it cannot be moved. The guest keeps it. Name a driver with migration in the configuration.`,
    { layer: "host", details: { device: name, driver: driver?.name, base: base.name } },
  );
}

function noDevice(start: DeviceStart, devices: readonly { readonly name: string }[]): VfmigError {
  const names = devices.map(({ name }) => `"${name}"`).join(", ");
  return new VfmigError(
    "ERR_VFMIG_HOST_NO_DEVICE",
    `${start.configFile} has no device "${start.device}"; it has ${names}.`,
    { layer: "host", details: { device: start.device } },
  );
}

function hostLogger(): Logger {
  const line =
    (level: LogLevel) =>
    (message: string, details?: Readonly<Record<string, unknown>>): void =>
      say({ say: "log", level, message, ...(details === undefined ? {} : { details }) });
  return { debug: line("debug"), info: line("info"), warn: line("warn"), error: line("error") };
}

function say(message: DeviceMessage): void {
  if (!process.connected) return;
  process.send?.(
    JSON.parse(
      JSON.stringify(message, (_key, value: unknown) =>
        typeof value === "bigint" ? `0x${value.toString(16)}` : value,
      ),
    ),
  );
}

try {
  await main(JSON.parse(process.argv[2] ?? "{}") as DeviceStart);
} catch (error) {
  say({ say: "failed", error: toWireError(error) });
  process.exitCode = 5;
  if (process.connected) process.disconnect();
}
