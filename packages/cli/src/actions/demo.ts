import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import { findConfig, systemClock } from "@vfmig/core";
import { openHost, runScenario } from "@vfmig/host";
import type { DemoOptions } from "../commands/demo.ts";
import { EXIT } from "../exit-codes.ts";
import { checkWritable } from "../input/files.ts";
import { demoJson } from "../output/demo-json.ts";
import { demoText } from "../output/demo-text.ts";
import { terminalLogger } from "../output/terminal.ts";
import type { CommandContext } from "../program.ts";

/** Serves the devices of a configuration and runs the scenario that it names. */
export async function demo(
  options: DemoOptions,
  { terminal, exit }: CommandContext,
): Promise<void> {
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
      openLimitMs: options.openLimit * 1000,
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
