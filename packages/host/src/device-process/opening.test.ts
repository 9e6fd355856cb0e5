import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { silentLogger, type Logger } from "@vfmig/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createHandClock, type HandClock } from "../testing/hand-clock.ts";
import { DeviceProcess } from "./device-process.ts";

describe("the process of a device that opens", () => {
  let folder: string;
  let clock: HandClock;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "vfmig-opening-"));
    clock = createHandClock();
  });

  afterEach(() => rm(folder, { recursive: true }));

  /** Opens with a process that does `code`; its log lines go to `onInfo`. */
  async function open(code: string, onInfo: () => void, openLimitMs?: number): Promise<unknown> {
    const file = join(folder, "main.mjs");
    await writeFile(file, code);
    const logger: Logger = { ...silentLogger, info: onInfo };
    const start = { configFile: "", device: "vf0", runtimeFolder: folder };
    const main = pathToFileURL(file);
    return DeviceProcess.open({
      start,
      main,
      clock,
      logger,
      ...(openLimitMs === undefined ? {} : { openLimitMs }),
    }).catch((error: unknown) => error);
  }

  const HANGS = `
    process.send({ say: "step", step: 'importing the driver "x"' });
    process.send({ say: "log", level: "info", message: "said" });
    setInterval(() => {}, 1000);`;

  it("is told by what it was at when its time is over, and is ended", async () => {
    const error = await open(HANGS, () => clock.ring());
    expect(error).toMatchObject({
      code: "ERR_VFMIG_HOST_STALLED",
      message: expect.stringContaining(
        'within 30000 ms: it was still importing the driver "x"',
      ) as string,
      details: { device: "vf0", step: 'importing the driver "x"' },
    });
  });

  it("has as long as its host allows", async () => {
    const limits: (readonly number[])[] = [];
    await open(HANGS, () => (limits.push(clock.waiting), clock.ring()), 700);
    expect(limits).toEqual([[700]]);
  });

  it("is told by what it was at when it ends before it serves", async () => {
    const code = `process.send({ say: "step", step: 'opening the base "y"' }, () => process.exit(7));`;
    expect(await open(code, () => {})).toMatchObject({
      code: "ERR_VFMIG_HOST_DEVICE_PROCESS",
      message: expect.stringMatching(
        /exited with 7 while opening the base "y"\. It was not served/,
      ),
    });
  });
});
