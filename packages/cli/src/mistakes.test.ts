import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { EXIT } from "./exit-codes.ts";
import { runCli } from "./program.ts";

const NOWHERE = "/nonexistent/x";

/** What a person types, the exit code, and what the answer has to name: what, where, and what to do. */
const MISTAKES: readonly [string, number, ...string[]][] = [
  ["fly", EXIT.usage, "unknown command 'fly'", "--help"],
  ["demo --bogus", EXIT.usage, "'--bogus'", "--help"],
  ["demo --config", EXIT.usage, "argument missing", "--help"],
  ["demo surplus", EXIT.usage, "too many arguments", "--help"],
  ["demo --repeat -1", EXIT.usage, "--repeat", "from 0 to 100000", "'-1'"],
  ["demo --rate 0", EXIT.usage, "--rate", "from 1 to 1000000", "'0'"],
  ["demo --queues 17", EXIT.usage, "--queues", "from 1 to 16", "'17'"],
  ["demo --traffic fast", EXIT.usage, "'fast'", "pcap, mixed"],
  ["demo --shadow maybe", EXIT.usage, "'maybe'", "always, while-saving"],
  ["demo --config FOLDER --model e900", EXIT.configuration, '"e900"', "these are there: e810"],
  [`demo --config ${NOWHERE}`, EXIT.configuration, NOWHERE, "name a configuration file"],
  [`demo --config FOLDER --save-state ${NOWHERE}`, EXIT.usage, "--save-state", "Make it, or name"],
  [`demo --config FOLDER --record ${NOWHERE}`, EXIT.usage, "--record", "/nonexistent is not there"],
  [`demo --config FOLDER --trace FOLDER/file/x`, EXIT.usage, "--trace", "file is no folder"],
  ["serve --memory lots", EXIT.usage, "--memory", "512M or 4G", "'lots'"],
  ["serve --memory 0", EXIT.usage, "--memory", "'0'"],
  ["serve --memory 0G", EXIT.usage, "--memory", "'0G'"],
  ["serve --mode sideways", EXIT.usage, "'sideways'", "active, transparent, base"],
  [`serve --config FOLDER --control ${NOWHERE}`, EXIT.usage, "--control", "/nonexistent"],
  ["replace vf0", EXIT.usage, "--with", "--help"],
  [`replace vf0 --with x --control ${NOWHERE}`, EXIT.usage, NOWHERE, "vfmig serve --control"],
  ["state inspect", EXIT.usage, "missing required argument 'file'"],
  ["state inspect FOLDER", EXIT.usage, "cannot be read", "Check the path"],
  ["state inspect FOLDER/file", EXIT.failed, "NOT SOUND"],
  ["plugin integrity no-such-package", EXIT.configuration, "not installed", "npm install"],
  ["plugin integrity ../x", EXIT.configuration, "no package name", "npm install <path>"],
  ["config check FOLDER/file", EXIT.configuration, "failed while it was evaluated"],
  ["bind nonsense", EXIT.usage, '"nonsense"', "vfmig devices"],
  ["bind 0000:ff:1f.7", EXIT.usage, "0000:ff:1f.7", "vfmig devices"],
  ["replay FOLDER/file", EXIT.usage, "--output", "--help"],
  [`replay FOLDER/file -o ${NOWHERE}`, EXIT.usage, "--output", "Make it, or name"],
  ["replay FOLDER/file -o FOLDER/out", EXIT.failed, "no whole recording", "Record again"],
  [`attribute ${NOWHERE}`, EXIT.usage, NOWHERE, "Check the path"],
  ["attribute FOLDER/file", EXIT.failed, "no whole recording", "Record again"],
  ["diff FOLDER/file", EXIT.usage, "two to four recordings", "one was given", "vfmig replay"],
];

describe("a mistake on the command line", () => {
  let folder: string;
  let out: string;
  let err: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "vfmig-mistakes-"));
    await writeFile(join(folder, "vfmig.config.json"), JSON.stringify({ devices: [] }));
    await writeFile(join(folder, "vfmig.e810.config.json"), "{}");
    await writeFile(join(folder, "file"), "this is neither a recording nor a device's state");
    [out, err] = ["", ""];
    vi.spyOn(process.stdout, "write").mockImplementation((text) => ((out += String(text)), true));
    vi.spyOn(process.stderr, "write").mockImplementation((text) => ((err += String(text)), true));
  });

  afterEach(async () => {
    vi.restoreAllMocks();
    await rm(folder, { recursive: true });
  });

  const words = (line: string): string[] => line.replaceAll("FOLDER", folder).split(" ");

  it.each(MISTAKES)(
    "is named with what is wrong and what to do: %s",
    async (line, code, ...said) => {
      expect(await runCli(words(line))).toBe(code);
      for (const part of said) expect(err + out).toContain(part);
      // Nobody is told of a fault in vfmig for a fault of his own.
      expect(err).not.toContain("report it");
    },
  );

  // An option at the end would be taken for the lacking argument; a stream that is not sound is no error.
  const other = ["demo --config", "state inspect FOLDER/file"];
  it.each(MISTAKES.filter(([line]) => !other.includes(line)))(
    "is one JSON object on stdout with --json, with a code: %s",
    async (line, code) => {
      expect(await runCli([...words(line), "--json"])).toBe(code);
      expect(JSON.parse(out)).toMatchObject({
        schemaVersion: 1,
        error: { code: expect.stringMatching(/^ERR_VFMIG_/u), message: expect.any(String) },
      });
    },
  );
});
