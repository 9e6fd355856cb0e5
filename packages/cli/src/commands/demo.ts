import { Option, type Command } from "commander";
import { openHost, runScenario } from "@vfmig/host";
import { findConfig, systemClock } from "@vfmig/core";
import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import { EXIT } from "../exit-codes.ts";
import { checkWritable } from "../files.ts";
import { demoJson } from "../output/demo-json.ts";
import { demoText } from "../output/demo-text.ts";
import { wholeNumber } from "../output/numbers.ts";
import { terminalLogger } from "../output/terminal.ts";
import type { CommandContext } from "../program.ts";

interface DemoOptions {
  readonly config: string;
  readonly repeat: number;
  readonly rate: number;
  readonly seed: number;
  readonly model?: string;
  readonly queues?: number;
  readonly traffic?: string;
  readonly shadow?: string;
  readonly saveState?: string;
  readonly trace?: string;
  readonly record?: string;
  readonly json?: boolean;
  readonly verbose?: boolean;
}

const EXAMPLES = `
Examples:
  vfmig demo --config examples/demo/vfmig.config.ts
  vfmig demo --repeat 100 --seed 7        move to and fro a hundred times, at times that the seed fixes
  vfmig demo --repeat 0                   traffic only: the device is not moved
  vfmig demo --model e810 --queues 16 --traffic mixed   another NIC, all its queues, 64 to 9,000 bytes
  vfmig demo --shadow while-saving        queues are the device's own except while it is moved
  vfmig demo --json --save-state vf.bin   one JSON object on stdout; the device's last state in a file`;

/** `vfmig demo`: serves the devices of a configuration and runs the scenario that it names. */
export function demoCommand(program: Command, context: CommandContext): void {
  program
    .command("demo")
    .description(
      "Move a device between two processes while frames flow, and prove that none is lost.",
    )
    .option("-c, --config <path>", "configuration file, or the folder that holds it", ".")
    .addOption(
      new Option("--repeat <n>", "moves, to and fro")
        .default(1)
        .argParser(wholeNumber("--repeat", 0, 100_000)),
    )
    .addOption(
      new Option("--rate <n>", "frames a second that arrive on the wire")
        .default(5000)
        .argParser(wholeNumber("--rate", 1, 1_000_000)),
    )
    .addOption(
      new Option("--seed <n>", "fixes when the moves happen")
        .default(1)
        .argParser(wholeNumber("--seed", 0, 0xffff_ffff)),
    )
    .option("--model <name>", "take vfmig.<name>.config.ts beside the configuration, such as e810")
    .addOption(
      new Option("--queues <n>", "queue pairs of the guest").argParser(
        wholeNumber("--queues", 1, 16),
      ),
    )
    .addOption(new Option("--traffic <kind>", "what flows").choices(["pcap", "mixed"]))
    .addOption(
      new Option("--shadow <mode>", "when queues are relayed").choices(["always", "while-saving"]),
    )
    .option("--save-state <path>", "keep the device state of the last move in this file")
    .option("--record <file>", "record what the guest sees of each device into <file>.<device>")
    .option("--trace <file>", "write each device's vfio-user messages to <file>.<device>")
    .option("--json", "print one JSON object on stdout")
    .option("-v, --verbose", "show what the layers log")
    .addHelpText("after", EXAMPLES)
    .action((options: DemoOptions) => demo(options, context));
}

async function demo(options: DemoOptions, { terminal, exit }: CommandContext): Promise<void> {
  const interrupt = new AbortController();
  const stop = (): void => interrupt.abort(new Error("interrupted"));
  process.once("SIGINT", stop).once("SIGTERM", stop);
  try {
    const logger = terminalLogger(terminal, options.verbose ?? false);
    await checkWritable("--save-state", options.saveState);
    await checkWritable("--record", options.record);
    await checkWritable("--trace", options.trace);
    terminal.progress(0, "opening the devices");
    await using host = await openHost({
      config: await configOf(options),
      logger,
      clock: systemClock,
      trace: options.trace,
      record: options.record,
      driverOptions: given({ shadow: options.shadow }),
    });
    const report = await runScenario(host, {
      moves: options.repeat,
      rate: options.rate,
      seed: options.seed,
      options: given({ queuePairs: options.queues, traffic: options.traffic }),
      saveStateTo: options.saveState,
      signal: interrupt.signal,
      progress: ({ fraction, text }) => terminal.progress(fraction, text),
    });
    terminal.clear();
    const json = demoJson(host.devices, report, options);
    terminal.result(options.json ? JSON.stringify(json) : demoText(json));
    const { lost, duplicated, reordered, corrupted } = json.frames;
    const forgotten = json.dirty?.forgotten ?? 0;
    if (lost + duplicated + reordered + corrupted + forgotten > 0) exit(EXIT.failed);
  } finally {
    process.off("SIGINT", stop).off("SIGTERM", stop);
    terminal.clear();
  }
}

async function configOf({ config, model }: DemoOptions): Promise<string> {
  if (model === undefined) return config;
  const isFolder = await stat(config).then(
    (status) => status.isDirectory(),
    () => false,
  );
  return findConfig(isFolder ? config : dirname(config), model);
}

/** What the command line says; the configuration says the rest. */
function given(options: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}
