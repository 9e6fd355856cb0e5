import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "@vfmig/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createHandClock, type HandClock } from "../testing/hand-clock.ts";
import { acquireFor, type Acquired } from "./acquire.ts";

describe("a base whose privileged half never comes to an end", () => {
  let folder: string;
  let clock: HandClock;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "vfmig-unfit-"));
    clock = createHandClock();
  });

  afterEach(() => rm(folder, { recursive: true }));

  async function acquire(
    code: string,
    { openLimitMs, onInfo = () => {} }: { openLimitMs?: number; onInfo?: () => void } = {},
  ): Promise<Acquired | undefined> {
    const at = join(folder, "node_modules", "nic-base");
    await mkdir(at, { recursive: true });
    const manifest = { name: "nic-base", version: "1.0.0", type: "module", exports: "./index.js" };
    await writeFile(join(at, "package.json"), JSON.stringify(manifest));
    await writeFile(join(at, "index.js"), code);
    const entry = { name: "vf0", base: { package: "nic-base" } };
    const logger = { ...silentLogger, info: onInfo };
    const around = { folder, runtimeFolder: folder, logger, clock, openLimitMs };
    return acquireFor(entry, "devices[0]", around);
  }

  it("is named when its import takes too long", async () => {
    const work = acquire("await new Promise(() => {}); export default {};");
    await expect.poll(() => clock.waiting).toEqual([30_000]);
    clock.ring();
    await expect(work).rejects.toMatchObject({
      code: "ERR_VFMIG_HOST_STALLED",
      details: { device: "vf0", step: 'importing the base "nic-base"' },
    });
  });

  it("is named when it does not open what it needs, after as long as the host allows", async () => {
    let asked = 0;
    const work = acquire(
      `export default { name: "n", version: "1", open() {},
        acquire: ({ logger }) => (logger.info("asked"), new Promise(() => {})) };`,
      { openLimitMs: 250, onInfo: () => (asked += 1) },
    );
    await expect.poll(() => [asked, ...clock.waiting]).toEqual([1, 250]);
    clock.ring();
    await expect(work).rejects.toMatchObject({
      code: "ERR_VFMIG_HOST_STALLED",
      message: expect.stringContaining("within 250 ms") as string,
      details: { step: 'opening what the base "nic-base" needs' },
    });
  });
});
