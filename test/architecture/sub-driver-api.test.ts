import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseSync } from "vite";
import { ROOT, readWorkspace, type SourceFile } from "./workspace.ts";

const FILES = ["context.ts", "definition.ts", "description.ts", "facets.ts"];

/**
 * Members that no vendor's module in this repository uses. Each is here for a need that is named; a new
 * one needs such a need, too, or it is not for the API.
 */
const WITHOUT_PLUGIN: Readonly<Record<string, string>> = {
  subsystemVendor: "boards of one chip that differ; the registry matches by it",
  subsystemDevice: "boards of one chip that differ; the registry matches by it",
  onMap: "a module that keeps views of guest memory",
  onUnmap: "a module that keeps views of guest memory",
  hostRequest: "a host that takes its device back",
  standsFor: "core's own transparent sub-driver",
};

interface Node {
  readonly type: string;
  readonly [key: string]: unknown;
}

const isNode = (value: unknown): value is Node =>
  typeof value === "object" && value !== null && "type" in value;

/** Names of all members of the interfaces in a file, also of types written in place. */
function members(value: unknown, found: Set<string>): void {
  if (Array.isArray(value)) {
    for (const item of value) members(item, found);
  } else if (isNode(value)) {
    const { type, key } = value;
    if (type === "TSPropertySignature" || type === "TSMethodSignature") {
      if (isNode(key) && typeof key["name"] === "string") found.add(key["name"]);
    }
    for (const inner of Object.values(value)) members(inner, found);
  }
}

const api = new Set<string>();
for (const file of FILES) {
  const path = join(ROOT, "packages/core/src/sub-driver", file);
  const { program } = parseSync(path, await readFile(path, "utf8"));
  members(program.body, api);
}

const uses = (text: string, name: string): boolean => new RegExp(`\\b${name}\\b`, "u").test(text);

/** What a vendor's module is made of: its own sources, and the pieces that modules share. */
function isVendors(room: string, { development, path }: SourceFile): boolean {
  const vendors = room.startsWith("plugin-") || room === "iavf" || room === "shadow-queue";
  return !development && (vendors || path.startsWith("packages/core/src/toolkit/"));
}

test("Each member of the sub-driver API is used by a vendor's module, or has a need that is named", async () => {
  expect(api.size).toBeGreaterThan(50);
  const workspace = await readWorkspace();
  const text = workspace
    .flatMap(({ room, sources }) => sources.filter((file) => isVendors(room, file)))
    .map((file) => file.text)
    .join("\n");
  const unused = [...api].filter((name) => !uses(text, name));
  expect(unused.toSorted()).toEqual(Object.keys(WITHOUT_PLUGIN).toSorted());
});

test("Each member of the sub-driver API is named by core's own code and by a test beside a source", async () => {
  const workspace = await readWorkspace();
  const sources = workspace.flatMap((room) => room.sources);
  const shipped = sources
    .filter(({ path }) => path.startsWith("packages/core/") && !path.includes("/sub-driver/"))
    .filter(({ development }) => !development);
  const tests = sources.filter(({ development }) => development).map(({ text }) => text);
  const missing = (text: string): string[] => [...api].filter((name) => !uses(text, name));
  expect({
    shipped: missing(shipped.map(({ text }) => text).join("\n")),
    tests: missing(tests.join("\n")),
  }).toEqual({ shipped: [], tests: [] });
});
