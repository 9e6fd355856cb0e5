import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const MAIN = fileURLToPath(new URL("./main.ts", import.meta.url));
const MARK = "modules: ";

/** Tells at the end which files were loaded, CommonJS included. */
const TELL = `data:text/javascript,${encodeURIComponent(`
  import { registerHooks } from "node:module";
  import { writeSync } from "node:fs";
  const urls = [];
  registerHooks({ load: (url, context, next) => (urls.push(url), next(url, context)) });
  process.on("exit", () => writeSync(2, ${JSON.stringify(`\n${MARK}`)} + JSON.stringify(urls) + "\\n"));
`)}`;

/** The packages of which a command loads anything, as `core`, `zod` or `@vendor/name`. */
async function packagesOf(...words: readonly string[]): Promise<ReadonlySet<string>> {
  const node = ["--conditions=@vfmig/source", "--import", TELL, MAIN, ...words];
  const { stderr } = await new Promise<{ stderr: string }>((resolve) => {
    execFile(process.execPath, node, (_error, _stdout, text) => resolve({ stderr: text }));
  });
  const line = stderr.split("\n").find((each) => each.startsWith(MARK));
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written above
  const urls = JSON.parse(line?.slice(MARK.length) ?? "[]") as readonly string[];
  return new Set(urls.flatMap((url) => nameOf(url) ?? []));
}

function nameOf(url: string): string | undefined {
  const installed = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//u.exec(url)?.[1];
  return installed ?? /\/packages\/([^/]+)\//u.exec(url)?.[1];
}

describe("what a command loads before it does anything", () => {
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "vfmig-loading-"));
    const devices = [{ name: "vf0", base: { package: "no-such-base" } }];
    await writeFile(join(folder, "vfmig.config.json"), JSON.stringify({ devices }));
  });

  afterAll(async () => {
    await rm(folder, { recursive: true });
  });

  it.each(["--help", "--version", "serve --help", "demo --help", "attribute --help"])(
    "is nothing but itself and its parser of options: %s",
    async (line) => {
      expect(await packagesOf(...line.split(" "))).toEqual(new Set(["cli", "commander"]));
    },
  );

  it("is no schema, system call or protocol, where devices are listed", async () => {
    const loaded = await packagesOf("devices", "--sysfs", folder, "--dev", folder);
    expect([...loaded].toSorted()).toEqual(["cli", "commander", "core", "host", "vfio-pci-base"]);
  });

  it("is no host and no state, where a configuration is checked", async () => {
    const loaded = await packagesOf("config", "check", folder);
    expect([...loaded].toSorted()).toEqual(["cli", "commander", "core", "zod"]);
  });

  it("is all that serves, where devices are served", async () => {
    const loaded = await packagesOf("serve", "--config", folder);
    for (const name of ["host", "core", "linux"]) expect(loaded).toContain(name);
    expect(loaded).not.toContain("vfio-pci-base");
  });
});
