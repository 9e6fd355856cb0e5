import { Option, type Command } from "commander";
import { openLimitOption } from "../input/open-limit.ts";
import { wholeNumber } from "../input/whole-number.ts";
import type { CommandContext } from "../program.ts";

export interface DemoOptions {
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
  readonly openLimit: number;
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
      new Option("--repeat <n>", "moves, to and fro").default(1).argParser(wholeNumber(0, 100_000)),
    )
    .addOption(
      new Option("--rate <n>", "frames a second that arrive on the wire")
        .default(5000)
        .argParser(wholeNumber(1, 1_000_000)),
    )
    .addOption(
      new Option("--seed <n>", "fixes when the moves happen")
        .default(1)
        .argParser(wholeNumber(0, 0xffff_ffff)),
    )
    .option("--model <name>", "take vfmig.<name>.config.ts beside the configuration, such as e810")
    .addOption(new Option("--queues <n>", "queue pairs of the guest").argParser(wholeNumber(1, 16)))
    .addOption(new Option("--traffic <kind>", "what flows").choices(["pcap", "mixed"]))
    .addOption(
      new Option("--shadow <mode>", "when queues are relayed").choices(["always", "while-saving"]),
    )
    .option("--save-state <path>", "keep the device state of the last move in this file")
    .option("--record <file>", "record what the guest sees of each device into <file>.<device>")
    .option("--trace <file>", "write each device's vfio-user messages to <file>.<device>")
    .addOption(openLimitOption())
    .option("--json", "print one JSON object on stdout")
    .option("-v, --verbose", "show what the layers log")
    .addHelpText("after", EXAMPLES)
    .action(async (options: DemoOptions) => {
      const { demo } = await import("../actions/demo.ts");
      await demo(options, context);
    });
}
