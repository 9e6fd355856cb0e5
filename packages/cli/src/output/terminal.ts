import type { Logger } from "@vfmig/core";

/** Where the command line writes: results to stdout, all else to stderr. */
export interface Terminal {
  result(text: string): void;
  note(text: string): void;
  /** Shows progress on one line of stderr, on a terminal only. */
  progress(fraction: number, text: string): void;
  /** Ends the progress line. */
  clear(): void;
}

const BAR = 24;

export function createTerminal(): Terminal {
  const live = process.stderr.isTTY && process.env["CI"] === undefined;
  let shown = false;
  const clear = (): void => {
    if (shown) process.stderr.write("\r\u001B[2K");
    shown = false;
  };
  return {
    result(text) {
      clear();
      process.stdout.write(`${text}\n`);
    },
    note(text) {
      clear();
      process.stderr.write(`${text}\n`);
    },
    progress(fraction, text) {
      if (!live) return;
      const filled = Math.round(Math.min(1, Math.max(0, fraction)) * BAR);
      const width = (process.stderr.columns ?? 80) - BAR - 4;
      const line = `${"█".repeat(filled)}${"░".repeat(BAR - filled)}  ${text.slice(0, width)}`;
      process.stderr.write(`\r\u001B[2K${line}`);
      shown = true;
    },
    clear,
  };
}

/** Log lines for people, on stderr; `debug` and `info` only where they were asked for. */
export function terminalLogger(terminal: Terminal, verbose: boolean): Logger {
  const line =
    (level: string, show: boolean) =>
    (message: string, details?: Readonly<Record<string, unknown>>): void => {
      if (!show) return;
      const more = Object.entries(details ?? {})
        .map(
          ([key, value]) => ` ${key}=${typeof value === "string" ? value : JSON.stringify(value)}`,
        )
        .join("");
      terminal.note(`${level}: ${message}${more}`);
    };
  return {
    debug: line("debug", verbose),
    info: line("info", verbose),
    warn: line("warn", true),
    error: line("error", true),
  };
}
