import type { Logger } from "@vfmig/core";
import { expect, test } from "vitest";
import { DirtyLog, type LoggedQueues } from "./dirty-log.ts";

const PAGE = 4096;
const RANGE = { iova: 0n, size: BigInt(64 * PAGE) };

/** Queues that a test relays or not, and what the log asked of them. */
class Queues implements LoggedQueues {
  covers = true;
  readonly asked: string[] = [];
  fails: Error | undefined;
  signal: AbortSignal | undefined;

  open(reason: "logging", signal: AbortSignal): Promise<void> {
    this.asked.push(`open ${reason}`);
    this.signal = signal;
    return this.fails === undefined ? Promise.resolve() : Promise.reject(this.fails);
  }

  close(reason: "logging"): void {
    this.asked.push(`close ${reason}`);
  }
}

function world() {
  const queues = new Queues();
  const told: string[] = [];
  const logger: Logger = {
    debug: () => {},
    info: () => {},
    warn: (message) => void told.push(message),
    error: () => {},
  };
  const log = new DirtyLog(queues, logger);
  const pages = (): number[] => {
    const found = new Set<number>();
    log.readAndClear(RANGE, {
      set: (iova, length) => {
        for (let at = iova; at < iova + length; at += PAGE) found.add(at / PAGE);
      },
    });
    return [...found].toSorted((a, b) => a - b);
  };
  return { queues, told, log, pages };
}

const everything = Array.from({ length: 64 }, (_, page) => page);

test("While all queues are relayed the log has what was written since it began, once", async () => {
  const { queues, log, pages } = world();
  log.set(9 * PAGE, 1);
  expect(await log.start([], PAGE)).toBe(PAGE);
  expect(pages()).toEqual([]);
  log.set(2 * PAGE - 1, 2);
  log.set(5 * PAGE, 10);
  expect(pages()).toEqual([1, 2, 5]);
  expect(pages()).toEqual([]);
  await log.stop();
  expect(queues.asked).toEqual(["open logging", "close logging"]);
  expect(queues.signal?.aborted).toBe(true);
});

test("Where queues cannot be relayed everything counts as written, until the next start", async () => {
  const { queues, told, log, pages } = world();
  queues.fails = new Error("a ring out of reach");
  expect(await log.start([], PAGE)).toBe(PAGE);
  expect(told).toHaveLength(1);
  expect(pages()).toEqual(everything);
  expect(pages()).toEqual(everything);
  await log.stop();
  expect(pages()).toEqual([]);
  queues.fails = undefined;
  await log.start([], PAGE);
  expect(pages()).toEqual([]);
});

test("One queue that runs by itself for a while makes everything count as written from then on", async () => {
  const { queues, log, pages } = world();
  await log.start([], PAGE);
  queues.covers = false;
  expect(pages()).toEqual(everything);
  queues.covers = true;
  expect(pages()).toEqual(everything);
});
