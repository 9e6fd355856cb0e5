import { closeSync, openSync, writeSync } from "node:fs";
import type { Clock, Logger } from "@vfmig/core";

/** Text that waits for the disk before it is written at once. */
const LIMIT = 1_048_576;

/** A file of lines. */
export interface TraceFile extends Disposable {
  readonly write: (line: string) => void;
}

/**
 * Opens `path` anew for a trace, readable by its owner only, since traces hold bytes of the guest. Lines
 * are written once a turn of the event loop; where that fails, the trace ends and the device goes on.
 */
export function openTraceFile(path: string, clock: Clock, logger: Logger): TraceFile {
  let fd: number | undefined = openSync(path, "w", 0o600);
  let text = "";
  let due = false;
  const end = (): void => {
    if (fd !== undefined) closeSync(fd);
    fd = undefined;
    text = "";
  };
  const flush = (): void => {
    due = false;
    if (fd === undefined || text === "") return;
    try {
      writeWhole(fd, text);
      text = "";
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      logger.warn(`The trace in ${path} ends here: ${why}`, { path });
      end();
    }
  };
  return {
    write(line) {
      if (fd === undefined) return;
      text += `${line}\n`;
      if (text.length > LIMIT) return flush();
      if (due) return;
      due = true;
      clock.soon(flush);
    },
    [Symbol.dispose]() {
      flush();
      end();
    },
  };
}

function writeWhole(fd: number, text: string): void {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at);
}
