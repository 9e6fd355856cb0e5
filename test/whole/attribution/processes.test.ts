import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { compareRecordings, readRecording, silentLogger, systemClock } from "@vfmig/core";
import { replayFile } from "@vfmig/host";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { recordRun } from "./lab.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const bin = join(root, "packages", "cli", "bin", "vfmig.js");

/** What the lab has, on a wire that brings nothing. */
const device = {
  name: "vf0",
  base: {
    package: "@vfmig/testkit/i40e-vf-model",
    options: { mac: "02:00:00:00:00:0a", vsiId: 7, wire: { kind: "none" } },
  },
  driver: { package: "@vfmig/plugin-i40e" },
};

interface Run {
  readonly code: number | null;
  readonly stdout: string;
}

/** Runs the command, and tells it to stop once it has printed a line. */
function served(words: readonly string[]): Promise<Run> {
  const child = spawn(process.execPath, [bin, "serve", ...words], { cwd: root });
  let stdout = "";
  child.stdout.on("data", (text: Buffer) => {
    stdout += text.toString();
    if (stdout.includes("\n")) child.kill("SIGTERM");
  });
  child.stderr.resume();
  return new Promise((resolve) => child.once("close", (code) => resolve({ code, stdout })));
}

describe("recordings of devices in processes of their own", () => {
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "vfmig-recorded-"));
    await symlink(join(root, "examples", "demo", "node_modules"), join(folder, "node_modules"));
    await writeFile(join(folder, "vfmig.config.json"), JSON.stringify({ devices: [device] }));
  });

  afterAll(() => rm(folder, { recursive: true }));

  it("are replayed by a host on a fresh device, which shows the guest the same", async () => {
    const { file, recording } = await recordRun({ kind: "i40e" }, "active", 12);
    const [path, output] = [join(folder, "run"), join(folder, "again")];
    await writeFile(path, file);
    const options = { config: folder, logger: silentLogger, clock: systemClock };
    const replayed = await replayFile({ ...options, mode: "active", file: path, output });
    expect(replayed).toMatchObject({ mode: "active", input: true, ended: undefined });
    expect(compareRecordings(recording, replayed)).toMatchObject({ differences: [] });
    expect(await readRecording(await readFile(output))).toEqual(replayed);
    // It holds memory of the guest.
    expect((await stat(output)).mode & 0o777).toBe(0o600);
  });

  it("are refused with the name of a device that is not there, before any process starts", async () => {
    const options = {
      config: folder,
      mode: "base",
      logger: silentLogger,
      clock: systemClock,
    } as const;
    const replaying = replayFile({ ...options, file: join(folder, "run"), device: "vf9" });
    await expect(replaying).rejects.toMatchObject({ code: "ERR_VFMIG_HOST_NO_DEVICE" });
  });

  it("are made by serve --record, in the mode that --mode says", async () => {
    const file = join(folder, "served");
    const words = ["--config", folder, "--mode", "transparent", "--record", file, "--json"];
    const { code, stdout } = await served(words);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      devices: [
        {
          name: "vf0",
          mode: "transparent",
          record: `${file}.vf0`,
          driver: { standsFor: { name: "i40e-vf" } },
        },
      ],
    });
    const recording = await readRecording(await readFile(`${file}.vf0`));
    expect(recording).toMatchObject({
      mode: "transparent",
      input: true,
      configured: { package: "@vfmig/plugin-i40e", options: {} },
      events: [],
    });
  });
});
