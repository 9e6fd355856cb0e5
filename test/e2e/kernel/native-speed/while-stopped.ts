import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";

const POLL_MS = 1;

/** Runs `run` while no thread of these processes does anything: nothing can pass them. */
export async function whileStopped<Value>(
  pids: readonly number[],
  run: () => Promise<Value>,
): Promise<Value> {
  const goOn = (): void => pids.forEach((pid) => void process.kill(pid, "SIGCONT"));
  // A case that runs out of time ends its process, and its children have to hear of it.
  process.once("exit", goOn);
  try {
    for (const pid of pids) {
      process.kill(pid, "SIGSTOP");
      while (stateOf(pid) !== "T") await pause(POLL_MS);
    }
    return await run();
  } finally {
    process.off("exit", goOn);
    goOn();
  }
}

/** The children of this process. */
export function children(): readonly number[] {
  const pids = readFileSync(`/proc/self/task/${process.pid}/children`, "latin1").trim();
  return pids === "" ? [] : pids.split(" ").map(Number);
}

/** One of the kernel's letters; the name in brackets before it may have brackets too. */
function stateOf(pid: number): string | undefined {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  return stat.slice(stat.lastIndexOf(")") + 2)[0];
}
