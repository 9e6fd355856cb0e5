import "reflect-metadata";
import {
  loadConfig,
  quietLogger,
  readRecording,
  systemClock,
  VfmigError,
  type Logger,
  type Recording,
} from "@vfmig/core";
import { createLinuxIo, type NativeIo } from "@vfmig/linux";
import { readFile } from "node:fs/promises";
import { container } from "tsyringe";
import { createVfioUserServer } from "@vfmig/vfio-user";
import { receiveGrant, type SentGrant } from "../granting/grant-channel.ts";
import { holdGrant, type HeldGrant } from "../granting/held-grant.ts";
import { DeviceOpener, type OpenedDevice } from "../opening/device-opener.ts";
import { TOKENS } from "../opening/tokens.ts";
import { withOptions } from "../opening/with-options.ts";
import { socketPathOf } from "../sockets/socket-path.ts";
import { listening } from "../sockets/listening.ts";
import { asRecorded } from "../replaying/as-recorded.ts";
import { descriptionOf } from "./description-of.ts";
import { doorbellsOf } from "./doorbells.ts";
import { GiveBack } from "./give-back.ts";
import { Place } from "./place.ts";
import type { DeviceMessage, DeviceStart, HostMessage, LogLevel, Replaced } from "./protocol.ts";
import { recordIntoFile, replayIntoFile } from "./recording-file.ts";
import { openTraceFile } from "./trace-file.ts";
import { waitsForNothing } from "./stalled.ts";
import { toWireError } from "./wire-error.ts";

/** A device's process: opens what the configuration names, serves it, and answers its host. */
async function main(start: DeviceStart, onStep: (step: string) => void): Promise<void> {
  // What guests and clients cause must not fill the host's log.
  const logger = quietLogger(hostLogger(), systemClock, { burst: 512, perSecond: 64 });
  const io = createLinuxIo();
  const scope = container.createChildContainer();
  scope.registerInstance(TOKENS.clock, systemClock);
  scope.registerInstance(TOKENS.logger, logger);
  scope.registerInstance(TOKENS.io, io);

  onStep("loading the configuration");
  const { config, folder } = await loadConfig(start.configFile);
  const { runtimeFolder } = start;
  const recording = await recordingOf(start.replay);
  let giveBack: GiveBack | undefined;
  const open = (name: string, held: HeldGrant | undefined): Promise<OpenedDevice> => {
    const index = config.devices.findIndex((device) => device.name === name);
    const entry = config.devices[index];
    if (entry === undefined) throw noDevice(start.configFile, name, config.devices);
    const { interposed } = start;
    const onHostRequest = (): void => giveBack?.asked(name);
    const folders = { folder, runtimeFolder, held, interposed, onHostRequest, onStep };
    const opener = scope.resolve(DeviceOpener);
    const wanted = withOptions(entry, start);
    const taken = recording === undefined ? wanted : asRecorded(wanted, recording, logger);
    return opener.open(taken, `devices[${index}]`, folders);
  };
  const opened = await open(
    start.device,
    start.grant === undefined ? undefined : holdGrant(io, start.grant),
  );
  if (start.replay !== undefined && recording !== undefined) {
    onStep("replaying the recording");
    return await replayHere(opened, { recording, output: start.replay.output }, io, logger);
  }
  const recorder =
    start.recordFile === undefined
      ? undefined
      : recordIntoFile(opened, start.recordFile, io, systemClock, logger);
  const place = new Place({ first: opened, entry: start.device, open, clock: systemClock, logger });
  const device = recorder ?? place.device;
  const { socket } = config.devices.find(({ name }) => name === start.device) ?? {};
  const path = socketPathOf({ name: start.device, socket }, { folder, runtimeFolder });
  const trace =
    start.traceFile === undefined ? undefined : openTraceFile(start.traceFile, systemClock, logger);
  const server = listening(start.device, path, () =>
    createVfioUserServer({
      io,
      device,
      path,
      logger,
      onClient: (event) => {
        if (event === "gone") giveBack?.clientGone();
      },
      ...(trace === undefined ? {} : { trace: trace.write }),
    }),
  );

  const stop = async (): Promise<void> => {
    await server[Symbol.asyncDispose]();
    trace?.[Symbol.dispose]();
    await device[Symbol.asyncDispose]();
  };
  giveBack = new GiveBack({
    entry: () => place.entry,
    busy: () => server.busy,
    close: () => void returnDevice(stop, logger),
    logger,
  });
  const replace = async (name: string, sent: SentGrant | undefined): Promise<Replaced> => {
    // Taken from the channel in any case, and before anything else: the next grant is behind it.
    using held = receive(io, start.grantChannel, sent);
    if (recorder !== undefined) throw recorded(start.device);
    return await place.replace(name, held);
  };
  const served = { opened: () => place.opened, stop, replace };
  process.on("message", (message) => void answer(message as HostMessage, served));
  // A host that dies takes its devices with it: nobody is left to ask for them.
  process.once("disconnect", () => process.exit(0));
  const { info } = place.device;
  const { mode } = opened;
  const doorbells = doorbellsOf(info);
  say({ say: "ready", identity: info.identity, socketPath: path, mode, doorbells });
}

async function recordingOf(replay: DeviceStart["replay"]): Promise<Recording | undefined> {
  return replay === undefined ? undefined : readRecording(await readFile(replay.file));
}

function receive(
  io: NativeIo,
  channel: number | undefined,
  sent: SentGrant | undefined,
): HeldGrant | undefined {
  if (channel === undefined || sent === undefined) return undefined;
  return holdGrant(io, receiveGrant(io, channel, sent));
}

/** Closes the device for good, and lets the process end. */
async function returnDevice(stop: () => Promise<void>, logger: Logger): Promise<void> {
  try {
    await stop();
  } catch (error) {
    logger.error(`The device was not closed cleanly: ${String(error)}`);
  }
  say({ say: "returned" });
  if (process.connected) process.disconnect();
}

/** Replays instead of serving; the device is closed before the host hears that it is done. */
async function replayHere(
  opened: OpenedDevice,
  replay: { readonly recording: Recording; readonly output: string },
  io: NativeIo,
  logger: Logger,
): Promise<void> {
  const { identity } = opened.device.info;
  await replayIntoFile(opened, replay, io, systemClock, logger);
  const done = { device: opened.device, composed: undefined, mode: opened.mode };
  const replace = (): never => {
    throw recorded(identity.device);
  };
  const served = { opened: () => done, stop: async () => {}, replace };
  process.on("message", (message) => void answer(message as HostMessage, served));
  process.once("disconnect", () => process.exit(0));
  const doorbells = doorbellsOf(opened.device.info);
  say({ say: "ready", identity, socketPath: "", mode: opened.mode, doorbells });
}

/** What the host can ask about. */
interface Served {
  /** What is served now. */
  readonly opened: () => OpenedDevice;
  readonly stop: () => Promise<void>;
  readonly replace: (name: string, sent: SentGrant | undefined) => Promise<Replaced>;
}

async function answer(message: HostMessage, served: Served): Promise<void> {
  try {
    say({ say: "answer", id: message.id, value: await ask(message, served) });
  } catch (error) {
    say({ say: "refusal", id: message.id, error: toWireError(error) });
  }
  if (message.ask === "stop") process.disconnect();
}

async function ask(message: HostMessage, served: Served): Promise<unknown> {
  const { composed } = served.opened();
  switch (message.ask) {
    case "describe":
      return descriptionOf(served.opened()).describe();
    case "compare":
      return descriptionOf(served.opened()).compare(message.source);
    case "status":
      return composed?.driverStatus() ?? {};
    case "replace":
      return served.replace(message.with, message.grant);
    case "stop":
      await served.stop();
      return null;
  }
}

function noDevice(
  file: string,
  device: string,
  devices: readonly { readonly name: string }[],
): VfmigError {
  const names = devices.map(({ name }) => `"${name}"`).join(", ");
  return new VfmigError(
    "ERR_VFMIG_HOST_NO_DEVICE",
    `${file} has no device "${device}"; it has ${names}.`,
    { layer: "host", details: { device } },
  );
}

function recorded(device: string): VfmigError {
  return new VfmigError(
    "ERR_VFMIG_REPLACE_BUSY",
    `Device "${device}" is being recorded, and a recording is of one device from its beginning to its end. Serve it without --record to replace it.`,
    { layer: "host", details: { device } },
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

function fail(error: unknown): void {
  say({ say: "failed", error: toWireError(error) });
  process.exitCode = 5;
  if (process.connected) process.disconnect();
}

async function run(): Promise<void> {
  const start = JSON.parse(process.argv[2] ?? "{}") as DeviceStart;
  let step = "starting";
  // Nothing is left that could ever bring what is waited for.
  const onDrained = (): void => fail(waitsForNothing(start.device, step));
  process.once("beforeExit", onDrained);
  try {
    await main(start, (next) => {
      step = next;
      say({ say: "step", step });
    });
  } catch (error) {
    fail(error);
  } finally {
    process.off("beforeExit", onDrained);
  }
}

await run();
