import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { ROOT } from "./workspace.ts";

interface Entry {
  readonly id: string;
  readonly text: string;
  readonly status: string;
  readonly tests?: readonly { readonly file: string; readonly title: string }[];
  readonly note?: string;
}

const STATUSES = ["tested", "untested", "waits-for-catalogue", "not-applicable"];
/** The quotes in which a title may stand. */
const QUOTES = ['"', "`"];

const { requirements, checks } = JSON.parse(
  await readFile(join(ROOT, "docs/requirements.json"), "utf8"),
) as { readonly requirements: readonly Entry[]; readonly checks: readonly Entry[] };
const all = [...requirements, ...checks];

test("Every requirement and every check is in the table once, in order", () => {
  const numbers = (letter: string, most: number): string[] =>
    Array.from({ length: most }, (_, n) => `${letter}${n + 1}`);
  expect(requirements.map(({ id }) => id)).toEqual(numbers("R", 48));
  expect(checks.map(({ id }) => id)).toEqual(numbers("C", 78));
});

test("Every entry has a status: tested names tests, all others a reason", () => {
  const poor = all.filter(({ text, status, tests = [], note }) => {
    if (!STATUSES.includes(status) || !/^[A-Z0-9].{10,}\.$/u.test(text)) return true;
    if (note !== undefined && !/^[A-Z0-9].{10,}\.$/u.test(note)) return true;
    return status === "tested" ? tests.length === 0 : note === undefined;
  });
  expect(poor).toEqual([]);
});

test("Every test that the table names is there, by file and title", async () => {
  const missing: string[] = [];
  for (const { id, tests = [] } of all) {
    for (const { file, title } of tests) {
      const text = await readFile(join(ROOT, file), "utf8").catch(() => "");
      const named = /^(?:packages|test)\/[\w./-]+\.ts$/u.test(file);
      const found = QUOTES.some((quote) => text.includes(`${quote}${title}${quote}`));
      if (!named || !found) missing.push(`${id}: ${file}: ${title}`);
    }
  }
  expect(missing).toEqual([]);
});

test("The page is the current one", async () => {
  const script = join(ROOT, "scripts/requirements-page.mjs");
  await promisify(execFile)(process.execPath, [script, "--check"]);
});
