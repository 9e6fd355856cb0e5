import { parseArgs } from "node:util";
import { VfmigError } from "@vfmig/core";
import type { SwitchReport } from "./learning-switch.ts";
import { listenSwitch } from "./listen-switch.ts";

const USAGE = `Usage: vfmig-switch PATH [--json]

Joins devices whose wire is { kind: "switch", path: PATH }, until SIGINT or SIGTERM.
Says on stderr who joins and leaves; at its end, on stdout, what went through each port still there.

  --json   the report as one JSON object
`;

/** Where the command reads and writes; a parameter so that tests need no process. */
export interface SwitchCommandIo {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Settles when the command is to end. */
  readonly ended: Promise<unknown>;
}

/** The `vfmig-switch` command: 0 in the end, 2 for wrong usage, 4 where the socket cannot be opened. */
export async function runSwitch(args: readonly string[], io: SwitchCommandIo): Promise<number> {
  const parsed = parse(args);
  if (parsed === undefined) {
    io.err(USAGE);
    return 2;
  }
  if (parsed.help) {
    io.out(USAGE);
    return 0;
  }
  try {
    await using server = await listenSwitch(parsed.path, {
      onEvent: ({ type, port, error }) => {
        const why = error instanceof Error ? `: ${error.message}` : "";
        io.err(`port ${port} ${type}${why}\n`);
      },
    });
    io.err(`switch at ${parsed.path}\n`);
    await io.ended;
    const report = server.ethernet.report();
    io.out(parsed.json ? `${JSON.stringify({ schemaVersion: 1, ...report })}\n` : table(report));
    return 0;
  } catch (error) {
    io.err(`${VfmigError.is(error) ? `${error.code}: ${error.message}` : String(error)}\n`);
    return 4;
  }
}

function parse(
  args: readonly string[],
): { readonly path: string; readonly json: boolean; readonly help: boolean } | undefined {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { json: { type: "boolean" }, help: { type: "boolean", short: "h" } },
    });
    const [path] = positionals;
    if (values.help === true) return { path: "", json: false, help: true };
    if (path === undefined || positionals.length !== 1) return undefined;
    return { path, json: values.json === true, help: false };
  } catch {
    return undefined;
  }
}

const COLUMNS = ["name", "received", "sent", "refused", "filtered", "flooded", "stations"] as const;

function table({ ports, moves }: SwitchReport): string {
  const rows = ports.map((port) =>
    COLUMNS.map((column) => String(port[column]).padStart(10)).join(""),
  );
  const head = COLUMNS.map((column) => column.padStart(10)).join("");
  return `${[head, ...rows].join("\n")}\nstations moved ${moves} times\n`;
}

/** Runs the command in this process: its arguments, its streams, its signals. */
export async function main(): Promise<void> {
  const ended = Promise.withResolvers<undefined>();
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => ended.resolve(undefined));
  process.exitCode = await runSwitch(process.argv.slice(2), {
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
    ended: ended.promise,
  });
}

if (import.meta.main) await main();
