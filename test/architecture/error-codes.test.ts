import { execFile } from "node:child_process";
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { ERROR_CODES } from "@vfmig/core";
import { expect, test } from "vitest";
import { ROOT, readWorkspace } from "./workspace.ts";

const CODES = "packages/core/src/errors/codes";
const codes = Object.entries(ERROR_CODES);
const shipped = (await readWorkspace())
  .flatMap(({ sources }) => sources)
  .filter((file) => !file.development && !file.path.startsWith(CODES));

test("Every code is thrown somewhere", () => {
  const unused = codes
    .map(([code]) => code)
    .filter((code) => !shipped.some((file) => file.text.includes(`"${code}"`)));
  expect(unused).toEqual([]);
});

test("Every code that the sources name is in the table", () => {
  const named = shipped.flatMap((file) =>
    [...file.text.matchAll(/"(ERR_VFMIG_[A-Z0-9_]*[A-Z0-9])"/g)].map((match) => match[1] ?? ""),
  );
  expect([...new Set(named)].filter((code) => !Object.hasOwn(ERROR_CODES, code))).toEqual([]);
});

test("Every code says in whole sentences what it means and what to do", () => {
  const poor = codes.filter(([, { means, remedy }]) =>
    [means, remedy].some((text) => !/^[A-Z0-9].{10,}\.$/s.test(text) || text.includes("\n")),
  );
  expect(poor.map(([code]) => code)).toEqual([]);
});

test("No two areas define one code, and no area is left out of the table", async () => {
  const names: string[] = [];
  for (const file of await readdir(join(ROOT, CODES))) {
    const text = await readFile(join(ROOT, CODES, file), "utf8");
    names.push(
      ...[...text.matchAll(/^ {2}(ERR_VFMIG_[A-Z0-9_]+):/gm)].map((match) => match[1] ?? ""),
    );
  }
  expect(names.toSorted()).toEqual(Object.keys(ERROR_CODES).toSorted());
});

test("Every code is documented, and the page is the current one", async () => {
  const page = await readFile(join(ROOT, "docs/errors.md"), "utf8");
  const headings = new Set(page.split("\n").filter((line) => line.startsWith("### ")));
  expect(codes.map(([code]) => code).filter((code) => !headings.has(`### ${code}`))).toEqual([]);
  const script = join(ROOT, "scripts/errors-page.mjs");
  await promisify(execFile)(process.execPath, [script, "--check"]);
});
