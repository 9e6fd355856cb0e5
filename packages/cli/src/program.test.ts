import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DRIVER_MODES, VfmigError } from "@vfmig/core";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { exitCodeFor } from "./exit-code-for.ts";
import { EXIT, EXIT_WORDS } from "./exit-codes.ts";
import { DRIVER_MODE_CHOICES } from "./input/driver-modes.ts";
import { runCli } from "./program.ts";

const NAMES = Object.keys(EXIT) as (keyof typeof EXIT)[];

describe("vfmig", () => {
  let folder: string;
  let out: string;
  let err: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "vfmig-cli-"));
    out = "";
    err = "";
    vi.spyOn(process.stdout, "write").mockImplementation((text) => {
      out += String(text);
      return true;
    });
    vi.spyOn(process.stderr, "write").mockImplementation((text) => {
      err += String(text);
      return true;
    });
  });

  afterEach(async () => {
    vi.restoreAllMocks();
    await rm(folder, { recursive: true });
  });

  it.each(
    [
      "",
      "demo",
      "serve",
      "replace",
      "config",
      "config check",
      "config schema",
      "plugin",
      "plugin integrity",
      "state",
      "state inspect",
      "replay",
      "diff",
      "attribute",
      "devices",
      "bind",
      "unbind",
    ].map((words) => [words]),
  )('prints help for "%s" with every exit code once, and ends with 0', async (words) => {
    expect(await runCli([...words.split(" ").filter((word) => word !== ""), "--help"])).toBe(0);
    for (const name of NAMES) {
      expect(out.split(`  ${EXIT[name]}  ${EXIT_WORDS[name]}\n`)).toHaveLength(2);
    }
  });

  it("has the exit codes that its README lists, in the same words", async () => {
    const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");
    const rows = [...readme.matchAll(/^\| (\d) \| (.+) \|$/gmu)].map(([, code, says]) => [
      Number(code),
      says,
    ]);
    // A second table there says what some of them mean to attribute and diff.
    expect(rows.slice(0, NAMES.length)).toEqual(
      NAMES.map((name) => [EXIT[name], EXIT_WORDS[name]]),
    );
  });

  it("takes a device that the configuration does not have for a mistake of the command line", () => {
    const error = new VfmigError("ERR_VFMIG_HOST_NO_DEVICE", "no", { layer: "host" });
    expect(exitCodeFor(error)).toBe(EXIT.usage);
  });

  it("takes a TAP interface that cannot be opened for the machine's fault, not the device's", () => {
    const error = new VfmigError("ERR_VFMIG_WIRE_TAP", "no", { layer: "testkit" });
    expect(exitCodeFor(error)).toBe(EXIT.environment);
  });

  it("ends with 2 for a word it does not know", async () => {
    expect(await runCli(["fly"])).toBe(2);
    expect(err).toContain("unknown command");
  });

  it("says which numbers an option takes, and ends with 2", async () => {
    expect(await runCli(["demo", "--repeat", "1.5"])).toBe(2);
    expect(err).toContain("'--repeat <n>' argument '1.5' is invalid");
    expect(err).toContain("It takes a whole number from 0 to 100000.");
  });

  it("offers every mode that a driver can run in", () => {
    expect(DRIVER_MODE_CHOICES).toEqual(DRIVER_MODES);
  });

  it("ends with 3 where there is no configuration, and says where it looked", async () => {
    expect(await runCli(["config", "check", folder])).toBe(3);
    expect(err).toContain("ERR_VFMIG_CONFIG_NOT_FOUND");
    expect(err).toContain(folder);
  });

  it("prints an error as one JSON object on stdout with --json", async () => {
    expect(await runCli(["config", "check", folder, "--json"])).toBe(3);
    expect(JSON.parse(out)).toMatchObject({
      schemaVersion: 1,
      error: { code: "ERR_VFMIG_CONFIG_NOT_FOUND", layer: "core" },
    });
  });

  it("names the file that it cannot read", async () => {
    const file = join(folder, "none.bin");
    expect(await runCli(["state", "inspect", file])).toBe(2);
    expect(err).toContain(`ERR_VFMIG_CLI_FILE (cli): ${file} cannot be read`);
  });

  it("says what is wrong with a stream that is no device state, and ends with 1", async () => {
    const file = join(folder, "noise.bin");
    await writeFile(file, "this is no device state at all");
    expect(await runCli(["state", "inspect", file, "--json"])).toBe(1);
    expect(JSON.parse(out)).toMatchObject({ schemaVersion: 1, sound: false });
  });

  it("prints the configuration's JSON Schema", async () => {
    expect(await runCli(["config", "schema"])).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ type: "object" });
  });
});
