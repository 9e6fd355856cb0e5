import { systemClock } from "@vfmig/core";
import { openControl, openHost, traceFileOf, type DeviceProcess } from "@vfmig/host";
import type { ServeOptions } from "../commands/serve.ts";
import { checkWritable } from "../input/files.ts";
import { qemuArguments, shellLine } from "../output/qemu-arguments.ts";
import { terminalLogger } from "../output/terminal.ts";
import type { CommandContext } from "../program.ts";

/** Serves the devices of a configuration until a signal comes. */
export async function serve(options: ServeOptions, { terminal }: CommandContext): Promise<void> {
  const { promise: asked, resolve: stop } = Promise.withResolvers<string>();
  const onInterrupt = (): void => stop("SIGINT");
  const onTerminate = (): void => stop("SIGTERM");
  process.once("SIGINT", onInterrupt).once("SIGTERM", onTerminate);
  try {
    const logger = terminalLogger(terminal, options.verbose ?? false);
    await checkWritable("--record", options.record);
    await checkWritable("--trace", options.trace);
    await checkWritable("--control", options.control);
    terminal.progress(0, "opening the devices");
    await using host = await openHost({
      config: options.config,
      logger,
      clock: systemClock,
      trace: options.trace,
      mode: options.mode,
      record: options.record,
      openLimitMs: options.openLimit * 1000,
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
    terminal.clear();
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
