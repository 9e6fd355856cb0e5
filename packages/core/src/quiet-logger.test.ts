import { describe, expect, it } from "vitest";
import { FakeClock } from "./testing/fake-clock.ts";
import { quietLogger } from "./quiet-logger.ts";

function rig(): { lines: string[]; clock: FakeClock; logger: ReturnType<typeof quietLogger> } {
  const lines: string[] = [];
  const add =
    (level: string) =>
    (message: string, details?: object): void =>
      void lines.push(`${level} ${message}${details === undefined ? "" : JSON.stringify(details)}`);
  const clock = new FakeClock();
  const logger = quietLogger(
    { debug: add("debug"), info: add("info"), warn: add("warn"), error: add("error") },
    clock,
  );
  return { lines, clock, logger };
}

describe("a logger that a peer cannot flood", () => {
  it("says what comes now and then, with its details", async () => {
    const { lines, clock, logger } = rig();
    for (let i = 0; i < 200; i += 1) {
      logger.warn("w", { i });
      await clock.advance(1000);
    }
    expect(lines).toHaveLength(200);
    expect(lines[7]).toBe('warn w{"i":7}');
  });

  it("leaves out what comes too often, and says how much that was", async () => {
    const { lines, clock, logger } = rig();
    for (let i = 0; i < 10_000; i += 1) logger.warn("flood");
    expect(lines).toHaveLength(64);
    await clock.advance(1000);
    for (let i = 0; i < 100; i += 1) logger.warn("flood");
    expect(lines).toHaveLength(64 + 1 + 8);
    expect(lines[64]).toContain("9936 more");
  });

  it("keeps what is grave apart from what is not", () => {
    const { lines, logger } = rig();
    for (let i = 0; i < 1000; i += 1) logger.debug("flood");
    logger.error("grave");
    expect(lines.at(-1)).toBe("error grave");
  });
});
