import { Option, type Command } from "commander";
import { openControl, openHost, traceFileOf, type DeviceProcess } from "@vfmig/host";
import { DRIVER_MODES, systemClock, type DriverMode } from "@vfmig/core";
import { checkWritable, memorySize } from "../files.ts";
import { qemuArguments, shellLine } from "../output/qemu-arguments.ts";
import { terminalLogger } from "../output/terminal.ts";
import type { CommandContext } from "../program.ts";

interface ServeOptions {
  readonly config: string;
  readonly memory: string;
  readonly mode?: DriverMode;
  readonly trace?: string;
  readonly record?: string;
  readonly control?: string;
  readonly json?: boolean;
  readonly verbose?: boolean;
}

const EXAMPLES = `
Examples:
  vfmig serve --config examples/serve
  vfmig serve --memory 4G                 QEMU arguments for a guest with 4 GiB
  vfmig serve --trace /tmp/vf             every message, readable, in /tmp/vf.<device>
  vfmig serve --mode base                 without any driver; --mode transparent: with core's pass-through
  vfmig serve --record /tmp/run           for vfmig attribute, in /tmp/run.<device>
  vfmig serve --control /run/vfmig.sock   take requests there, such as vfmig replace
  vfmig serve --json                      one JSON object on one line, once every device is served

Stop it with Ctrl-C or SIGTERM: clients are disconnected, devices closed, sockets removed.`;

/** `vfmig serve`: the devices of a configuration, each in its own process, until it is told to stop. */
export function serveCommand(program: Command, context: CommandContext): void {
  program
    .command("serve")
    .description("Serve the devices of a configuration over vfio-user, each in its own process.")
    .option("-c, --config <path>", "configuration file, or the folder that holds it", ".")
    .addOption(
      new Option("--memory <size>", "guest memory in the QEMU arguments that are printed")
        .default("1G")
        .argParser(memorySize),
    )
    .addOption(
      new Option("--mode <mode>", "how drivers run, whatever the configuration says").choices(
        DRIVER_MODES,
      ),
    )
    .option("--record <file>", "record what guests see of each device into <file>.<device>")
    .option("--trace <file>", "write each device's vfio-user messages to <file>.<device>")
    .option("--control <path>", "unix socket for requests to this host, such as vfmig replace")
    .option("--json", "print one JSON object on stdout")
    .option("-v, --verbose", "show what the layers log")
    .addHelpText("after", EXAMPLES)
    .action((options: ServeOptions) => serve(options, context));
}

async function serve(options: ServeOptions, { terminal }: CommandContext): Promise<void> {
  const { promise: asked, resolve: stop } = Promise.withResolvers<string>();
  const onInterrupt = (): void => stop("SIGINT");
  const onTerminate = (): void => stop("SIGTERM");
  process.once("SIGINT", onInterrupt).once("SIGTERM", onTerminate);
  try {
    const logger = terminalLogger(terminal, options.verbose ?? false);
    await checkWritable("--record", options.record);
    await checkWritable("--trace", options.trace);
    await checkWritable("--control", options.control);
    await using host = await openHost({
      config: options.config,
      logger,
      clock: systemClock,
      trace: options.trace,
      mode: options.mode,
      record: options.record,
    });
    await using _control =
      options.control === undefined ? undefined : await openControl(host, options.control);
    terminal.result(
      options.json
        ? JSON.stringify({ schemaVersion: 1, devices: host.devices.map((d) => asJson(d, options)) })
        : host.devices.map((device) => asText(device, options)).join("\n\n"),
    );
    const count = host.devices.length;
    terminal.note(`Serving ${count} ${count === 1 ? "device" : "devices"}; Ctrl-C stops.`);
    await asked;
    terminal.note("Stopping: closing devices.");
  } finally {
    process.off("SIGINT", onInterrupt).off("SIGTERM", onTerminate);
  }
}

function asJson(device: DeviceProcess, { memory, trace, record }: ServeOptions): object {
  const { base, driver } = device.identity;
  return {
    name: device.name,
    socketPath: device.socketPath,
    base,
    driver: driver ?? null,
    mode: device.mode,
    doorbells: device.doorbells,
    trace: trace === undefined ? null : traceFileOf(trace, device.name),
    record: record === undefined ? null : traceFileOf(record, device.name),
    qemu: qemuArguments(device, memory),
  };
}

/** What each kind means to who wants to move the guest: QEMU's client gives no mapping back while it runs. */
const DOORBELLS: Readonly<Record<DeviceProcess["doorbells"], string>> = {
  trapped: "trapped: every access is seen, as a device must have it that is to move under QEMU",
  lent: 'lent: a client may map pages and gives them back when it is asked to; QEMU cannot be asked, so to move this device under QEMU, set doorbells: "trapped"',
  direct:
    "direct: a BAR can be mapped, and QEMU would keep it mapped; to move this device under QEMU, give it a driver that traps them",
};

function asText(device: DeviceProcess, { memory, trace, record }: ServeOptions): string {
  const { base, driver } = device.identity;
  const what =
    driver === undefined
      ? `${base.name} ${base.version}, alone: no driver runs, so it cannot be moved`
      : driver.standsFor === undefined
        ? `${driver.name} ${driver.version} on ${base.name} ${base.version}`
        : `core's pass-through in place of ${driver.standsFor.name} ${driver.standsFor.version}, on ${base.name} ${base.version}: it cannot be moved`;
  const lines = [
    device.name,
    `  driven by   ${what}`,
    ...(driver === undefined
      ? []
      : [
          `  integrity   ${driver.integrity ?? "unknown"}`,
          `  privileges  ${driver.privileges.length > 0 ? driver.privileges.join("; ") : "none"}`,
        ]),
    `  doorbells   ${DOORBELLS[device.doorbells]}`,
    `  socket      ${device.socketPath}`,
    ...(record === undefined ? [] : [`  record      ${traceFileOf(record, device.name)}`]),
    ...(trace === undefined ? [] : [`  trace       ${traceFileOf(trace, device.name)}`]),
    `  for QEMU    ${shellLine(qemuArguments(device, memory))}`,
  ];
  return lines.join("\n");
}
