import { Option, type Command } from "commander";
import type { DriverMode } from "@vfmig/core";
import { DRIVER_MODE_CHOICES } from "../input/driver-modes.ts";
import { memorySize } from "../input/memory-size.ts";
import { openLimitOption } from "../input/open-limit.ts";
import type { CommandContext } from "../program.ts";

export interface ServeOptions {
  readonly config: string;
  readonly memory: string;
  readonly mode?: DriverMode;
  readonly trace?: string;
  readonly record?: string;
  readonly control?: string;
  readonly openLimit: number;
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
        DRIVER_MODE_CHOICES,
      ),
    )
    .option("--record <file>", "record what guests see of each device into <file>.<device>")
    .option("--trace <file>", "write each device's vfio-user messages to <file>.<device>")
    .option("--control <path>", "unix socket for requests to this host, such as vfmig replace")
    .addOption(openLimitOption())
    .option("--json", "print one JSON object on stdout")
    .option("-v, --verbose", "show what the layers log")
    .addHelpText("after", EXAMPLES)
    .action(async (options: ServeOptions) => {
      const { serve } = await import("../actions/serve.ts");
      await serve(options, context);
    });
}
