import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { attribute, readRecording, type Recording } from "@vfmig/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const bin = join(root, "packages", "cli", "bin", "vfmig.js");
const demo = join(root, "examples", "demo");

interface Run {
  readonly code: number | null;
  readonly stdout: string;
}

/** Runs the command; one that stays is told to stop once it has printed a line. */
function vfmig(words: readonly string[], stays = false): Promise<Run> {
  const child = spawn(process.execPath, [bin, ...words], { cwd: root });
  let stdout = "";
  child.stdout.on("data", (text: Buffer) => {
    stdout += text.toString();
    if (stays && stdout.includes("\n")) child.kill("SIGTERM");
  });
  child.stderr.resume();
  return new Promise((resolve) => child.once("close", (code) => resolve({ code, stdout })));
}

describe("recordings of devices in processes of their own", () => {
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "vfmig-recorded-"));
  });

  afterAll(() => rm(folder, { recursive: true }));

  const recordingIn = async (file: string): Promise<Recording> =>
    readRecording(await readFile(file));

  it("are made by demo --record with the frames that arrived, and replayed without their wire", async () => {
    const file = join(folder, "run");
    const traffic = ["--repeat", "1", "--rate", "100"];
    const run = await vfmig(["demo", "--config", demo, ...traffic, "--record", file, "--json"]);
    expect(run.code).toBe(0);
    // It holds memory of the guest.
    expect((await stat(`${file}.source`)).mode & 0o777).toBe(0o600);
    const recorded = await recordingIn(`${file}.source`);
    expect(recorded).toMatchObject({ mode: "active", input: true, ended: undefined });
    const frames = recorded.events.filter(({ kind }) => kind === "input").length;
    expect(frames).toBeGreaterThan(10);

    const output = join(folder, "base");
    const device = ["--config", demo, "--device", "source", "--mode", "base"];
    const again = await vfmig(["replay", `${file}.source`, ...device, "-o", output, "--json"]);
    expect(again.code).toBe(0);
    const base = await recordingIn(output);
    expect(JSON.parse(again.stdout)).toMatchObject({
      schemaVersion: 1,
      mode: "base",
      events: base.events.length,
    });
    expect(base).toMatchObject({ mode: "base", input: true });
    expect(base.events.filter(({ kind }) => kind === "input")).toHaveLength(frames);
    const { steps } = attribute({ recorded: undefined, base: [base], active: recorded });
    expect(steps).toBeGreaterThan(100);
  });

  it("are made by serve --record, in the mode that --mode says", async () => {
    const file = join(folder, "served");
    const words = ["--config", demo, "--mode", "transparent", "--record", file, "--json"];
    const { code, stdout } = await vfmig(["serve", ...words], true);
    expect(code).toBe(0);
    const { devices } = JSON.parse(stdout) as { readonly devices: readonly object[] };
    expect(devices).toMatchObject([
      {
        name: "source",
        mode: "transparent",
        record: `${file}.source`,
        driver: { standsFor: { name: "i40e-vf" } },
      },
      { name: "target", mode: "transparent", record: `${file}.target` },
    ]);
    expect(await recordingIn(`${file}.source`)).toMatchObject({ mode: "transparent", events: [] });
  });
});
