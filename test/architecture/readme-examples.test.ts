import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ROOT, readWorkspace } from "./workspace.ts";

interface Example {
  readonly room: string;
  readonly name: string;
  readonly code: string;
  /** Marked with `<!-- example: run -->`. */
  readonly run: boolean;
}

const BLOCK = /(<!-- example: run -->\n)?```ts\n(.*?)```/gs;

async function readExamples(): Promise<Example[]> {
  const found: Example[] = [];
  for (const { room } of await readWorkspace()) {
    const path = join(ROOT, "packages", room, "README.md");
    const text = await readFile(path, "utf8").catch(() => "");
    for (const [index, match] of [...text.matchAll(BLOCK)].entries()) {
      const name = `${room}-${index + 1}`;
      found.push({ room, name, code: match[2] ?? "", run: match[1] !== undefined });
    }
  }
  return found;
}

const examples = await readExamples();
let folder: string;

/** A folder that stands where a user's project would: packages installed, nothing of the workspace. */
beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), "vfmig-examples-")));
  await mkdir(join(folder, "node_modules/@types"), { recursive: true });
  const link = (from: string, to: string): Promise<void> =>
    symlink(join(ROOT, from), join(folder, "node_modules", to));
  await link("test/node_modules/@vfmig", "@vfmig");
  await link("packages/core/node_modules/zod", "zod");
  await link("test/node_modules/@types/node", "@types/node");
  await writeFile(join(folder, "package.json"), JSON.stringify({ type: "module" }));
  for (const { name, code } of examples) await writeFile(join(folder, `${name}.ts`), code);
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** What the compiler says about the examples, as a user's strict project sees them. */
async function compile(files: readonly string[]): Promise<string> {
  const options = ["--noEmit", "--strict", "--module", "nodenext", "--target", "es2023"];
  const libraries = ["--lib", "es2024,esnext.disposable", "--types", "node", "--skipLibCheck"];
  const tsc = join(ROOT, "node_modules/.bin/tsc");
  return promisify(execFile)(tsc, [...options, ...libraries, ...files], { cwd: folder }).then(
    () => "",
    (error: unknown) =>
      error instanceof Error && "stdout" in error ? String(error.stdout) : String(error),
  );
}

test("Every example of a README compiles against the built packages", async () => {
  expect(examples.length).toBeGreaterThan(0);
  expect(await compile(examples.map(({ name }) => `${name}.ts`))).toBe("");
});

test("The compiler does look at them: one with a wrong field is refused", async () => {
  const code =
    'import { defineConfig } from "@vfmig/core";\nexport default defineConfig({ device: [] });\n';
  await writeFile(join(folder, "wrong.ts"), code);
  expect(await compile(["wrong.ts"])).toContain("wrong.ts");
});

const runnable = examples.filter(({ run }) => run).map(({ name }) => name);

describe("The README's example", () => {
  test("of core is among those that run", () => {
    expect(runnable).toContain("core-1");
  });

  test.each(runnable)("%s runs to its end and says something", async (name) => {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [`${name}.ts`], {
      cwd: folder,
    });
    expect(stderr).toBe("");
    expect(stdout).not.toBe("");
  });
});

test("The configuration in core's README is loaded by plain Node, types and all", async () => {
  const configuration = examples.find(
    ({ room, code }) => room === "core" && code.includes("export default defineConfig"),
  );
  const script = `
    import { loadConfig } from "@vfmig/core";
    const { config, folder } = await loadConfig("${configuration?.name}.ts");
    console.log(JSON.stringify({ folder, names: config.devices.map(({ name }) => name) }));`;
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ["--input-type=module", "--eval", script],
    { cwd: folder },
  );
  expect(JSON.parse(stdout)).toEqual({ folder, names: ["vf0"] });
});
