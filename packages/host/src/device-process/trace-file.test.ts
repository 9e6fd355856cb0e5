import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger, systemClock, type Clock } from "@vfmig/core";
import { afterAll, describe, expect, it } from "vitest";
import { openTraceFile } from "./trace-file.ts";

const folder = mkdtempSync(join(tmpdir(), "vfmig-"));
afterAll(() => rmSync(folder, { recursive: true }));

describe("a trace file", () => {
  it("holds the lines of a turn after it, and all when it is closed", () => {
    const turns: (() => void)[] = [];
    const clock: Clock = {
      ...systemClock,
      soon(run) {
        turns.push(run);
        return { cancel() {} };
      },
    };
    const path = join(folder, "lines");
    const trace = openTraceFile(path, clock, silentLogger);
    trace.write("one");
    trace.write("two");
    expect([readFileSync(path, "utf8"), turns.length]).toEqual(["", 1]);
    turns.shift()?.();
    expect(readFileSync(path, "utf8")).toBe("one\ntwo\n");
    trace.write("three");
    trace[Symbol.dispose]();
    trace[Symbol.dispose]();
    trace.write("four");
    expect(readFileSync(path, "utf8")).toBe("one\ntwo\nthree\n");
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it("ends with one warning where the disk is full, and the device goes on", () => {
    const warnings: string[] = [];
    const logger = { ...silentLogger, warn: (message: string) => void warnings.push(message) };
    const trace = openTraceFile("/dev/full", systemClock, logger);
    for (let i = 0; i < 3; i += 1) trace.write("x".repeat(2_000_000));
    trace[Symbol.dispose]();
    expect(warnings).toEqual([expect.stringContaining("ENOSPC")]);
  });
});
