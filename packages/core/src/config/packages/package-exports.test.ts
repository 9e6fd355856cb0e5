import { execFile } from "node:child_process";
import { mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { legacyMains, resolveExports } from "./package-exports.ts";

let folder: string;

beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), "vfmig-exports-")));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

interface Case {
  readonly exports: unknown;
  readonly subpath: string;
}

const path = fc.constantFrom(
  ..."./a.js ./lib/b.js ./lib/* ./*/x.js ./lib/*.js ./*/* a.js /a.js ../a.js ./../a.js".split(" "),
  ..."./%2e%2e/a.js ./node_modules/b.js ./NODE_MODULES/b.js ./a/../b.js ./a b.js ./q.js?x=1".split(
    " ",
  ),
);
const condition = fc.constantFrom(
  ..."node import require default browser module-sync node-addons types".split(" "),
);
const { target } = fc.letrec<{ target: unknown }>((tie) => ({
  target: fc.oneof(
    { maxDepth: 3 },
    { weight: 4, arbitrary: path },
    { weight: 1, arbitrary: fc.constantFrom(null, false, 7) },
    { weight: 1, arbitrary: fc.array(tie("target"), { maxLength: 3 }) },
    { weight: 3, arbitrary: fc.dictionary(condition, tie("target"), { minKeys: 1, maxKeys: 4 }) },
  ),
}));
const key = fc.constantFrom(
  ..."./x ./x/y ./* ./x/* ./*.js ./x/*.js ./x/*/z ./*/* ./x/ .".split(" "),
);
const subpath = fc.constantFrom(
  ..."./x ./x/y ./x/y.js ./x/y/z ./a.js ./x/node_modules/y .".split(" "),
);
const example: fc.Arbitrary<Case> = fc.oneof(
  fc.record({ exports: fc.dictionary(key, target, { minKeys: 1, maxKeys: 8 }), subpath }),
  fc.record({
    // Node takes a number here for no exports at all; we refuse it.
    exports: target.filter((value) => typeof value === "string" || value instanceof Object),
    subpath: fc.constant("."),
  }),
  fc.record({ exports: fc.record({ ".": target, node: target }), subpath }),
);

/** What Node resolves in each case: a URL, or undefined where it refuses. */
async function askNode(cases: readonly Case[]): Promise<(string | undefined)[]> {
  for (const [index, { exports }] of cases.entries()) {
    const root = join(folder, "node_modules", `p${index}`);
    await mkdir(root, { recursive: true });
    await writeFile(join(root, "package.json"), JSON.stringify({ name: `p${index}`, exports }));
  }
  const specifiers = cases.map(({ subpath }, index) => `p${index}${subpath.slice(1)}`);
  const script = join(folder, "ask.mjs");
  const ask = "(name) => { try { return import.meta.resolve(name); } catch { return null; } }";
  await writeFile(
    script,
    `console.log(JSON.stringify(${JSON.stringify(specifiers)}.map(${ask})));`,
  );
  const { stdout } = await promisify(execFile)(process.execPath, ["--no-warnings", script]);
  const answers: unknown = JSON.parse(stdout);
  if (!Array.isArray(answers)) throw new Error("Node gave no list");
  return answers.map((answer) => (typeof answer === "string" ? answer : undefined));
}

describe("resolveExports", () => {
  test("resolves whatever a package may export as Node does", async () => {
    const seed = Date.now() % 1e9;
    const cases = fc.sample(example, { numRuns: 400, seed });
    const wanted = await askNode(cases);
    const found = cases.map(({ exports, subpath }, index) => {
      const start = resolveExports(exports, subpath);
      const root = pathToFileURL(join(folder, "node_modules", `p${index}`, "/"));
      return start === undefined ? undefined : new URL(start, root).href;
    });
    const wrong = cases
      .map((example, index) => ({ ...example, wanted: wanted[index], found: found[index] }))
      .filter((row) => row.wanted !== row.found);
    expect(wrong, `seed ${seed}`).toEqual([]);
    expect(found.filter((url) => url !== undefined).length, `seed ${seed}`).toBeGreaterThan(40);
  });

  test.each<[string, unknown, string, string | undefined]>([
    [
      "nested conditions that fit nothing",
      { node: { require: "./c" }, default: "./d" },
      ".",
      "./d",
    ],
    ["a null before a default", { node: null, default: "./d" }, ".", undefined],
    ["the longest pattern", { "./*": "./a/*", "./x/*": "./b/*" }, "./x/y", "./b/y"],
    ["a closed part of an open pattern", { "./*": "./*", "./in/*": null }, "./in/y", undefined],
    ["a star twice in the target", { "./*": "./*/*.js" }, "./x", "./x/x.js"],
    ["conditions mixed with subpaths", { ".": "./a", node: "./b" }, ".", undefined],
    ["a key of every object", {}, "./toString", undefined],
  ])("handles %s", (_, exports, subpath, wanted) => {
    expect(resolveExports(exports, subpath)).toBe(wanted);
  });
});

test("A package without exports has its main module where main says, else at index", () => {
  expect(legacyMains(undefined)).toEqual(["./index.js", "./index.json", "./index.node"]);
  expect(legacyMains("lib").slice(0, 5)).toEqual([
    "./lib",
    "./lib.js",
    "./lib.json",
    "./lib.node",
    "./lib/index.js",
  ]);
});
