import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ROOT } from "./workspace.ts";

const FIGURE = /\d (?:ns|us|µs|ms)\b|\bMbit\/s\b|\bGbit\/s\b/u;
const rooms = await readdir(join(ROOT, "packages"));

async function benchmarks(): Promise<ReadonlySet<string>> {
  const names = rooms.map((room) =>
    readdir(join(ROOT, "packages", room, "bench")).catch((): string[] => []),
  );
  return new Set((await Promise.all(names)).flat().filter((name) => name.endsWith(".bench.ts")));
}

async function readmes(): Promise<readonly (readonly [path: string, text: string])[]> {
  const paths = ["README.md", ...rooms.map((room) => `packages/${room}/README.md`)];
  const found: [string, string][] = [];
  for (const path of paths) {
    const text = await readFile(join(ROOT, path), "utf8").catch(() => "");
    if (text !== "") found.push([path, text]);
  }
  return found;
}

/** The sections of a text in which something was measured: those with a heading that says so. */
function measured(text: string): readonly string[] {
  return text
    .split(/^## /mu)
    .filter((section) => /^(?:Measured|Measurements|Speed)/u.test(section));
}

test("Each README that says how fast something is names a benchmark that exists", async () => {
  const known = await benchmarks();
  let sections = 0;
  for (const [path, text] of await readmes()) {
    const named = [...text.matchAll(/[\w-]+\.bench\.ts/gu)].map(([name]) => name);
    expect({ path, unknown: named.filter((name) => !known.has(name)) }).toEqual({
      path,
      unknown: [],
    });
    for (const section of measured(text).filter((each) => FIGURE.test(each))) {
      sections += 1;
      const said = /[\w-]+\.bench\.ts|npm run bench|npm run test:e2e|npm start/u.test(section);
      expect({ path, said }).toEqual({ path, said: true });
    }
  }
  expect(sections).toBeGreaterThan(1);
});
