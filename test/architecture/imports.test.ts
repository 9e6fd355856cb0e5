import { dirname, join, normalize } from "node:path";
import { describe, expect, test } from "vitest";
import { importsOf, packageOf, readWorkspace } from "./workspace.ts";
import type { SourceFile, WorkspacePackage } from "./workspace.ts";

/** The arrows of the house: which room may know which. There are no others. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  core: [],
  linux: ["core"],
  "vfio-pci-base": ["core", "linux"],
  "vfio-user": ["core", "linux"],
  "shadow-queue": ["core"],
  iavf: ["core", "shadow-queue"],
  "plugin-i40e": ["core", "iavf", "shadow-queue"],
  "plugin-e810": ["core", "iavf", "shadow-queue"],
  "plugin-igb": ["core", "shadow-queue"],
  testkit: ["core", "linux", "vfio-user", "iavf"],
  host: ["core", "linux", "vfio-user", "vfio-pci-base"],
  qemu: ["core"],
  cli: ["host", "qemu", "core"],
};

/** npm packages that only one room may know. */
const RESERVED: Readonly<Record<string, string>> = {
  koffi: "linux",
  tsyringe: "host",
  "reflect-metadata": "host",
};

const SCOPE = "@vfmig/";
const workspace = await readWorkspace();
const rooms = workspace.map((entry) => [entry.room, entry] as const);

interface Use {
  readonly file: string;
  readonly specifier: string;
  readonly package: string;
}

function uses(sources: readonly SourceFile[]): Use[] {
  return sources.flatMap((file) =>
    [...importsOf(file)].flatMap((specifier) => {
      const name = packageOf(specifier);
      return name === undefined ? [] : [{ file: file.path, specifier, package: name }];
    }),
  );
}

function shipped({ sources }: WorkspacePackage): Use[] {
  return uses(sources.filter((file) => !file.development));
}

function workspaceNames(...lists: (Readonly<Record<string, string>> | undefined)[]): string[] {
  const names = lists.flatMap((list) => Object.keys(list ?? {}));
  return [...new Set(names.filter((name) => name.startsWith(SCOPE)))].toSorted();
}

test("The house has rooms, and each has its arrows", () => {
  expect(rooms.length).toBeGreaterThan(0);
  expect(Object.keys(MAY_IMPORT)).toEqual(expect.arrayContaining(rooms.map(([room]) => room)));
});

test("No arrow leads to a plugin", () => {
  expect(
    Object.values(MAY_IMPORT)
      .flat()
      .filter((room) => room.startsWith("plugin-")),
  ).toEqual([]);
});

describe.each(rooms)("%s", (room, entry) => {
  const { manifest, sources } = entry;

  test("is named after its folder", () => {
    expect(manifest.name).toBe(`${SCOPE}${room}`);
  });

  test("imports only the packages that its arrows lead to", () => {
    const allowed = (MAY_IMPORT[room] ?? []).map((name) => `${SCOPE}${name}`);
    const strays = shipped(entry).filter(
      (use) => use.package.startsWith(SCOPE) && !allowed.includes(use.package),
    );
    expect(strays).toEqual([]);
  });

  test("depends on exactly the workspace packages that it imports", () => {
    const imported = new Set(shipped(entry).map((use) => use.package));
    expect(workspaceNames(manifest.dependencies, manifest.peerDependencies)).toEqual(
      [...imported].filter((name) => name.startsWith(SCOPE)).toSorted(),
    );
  });

  test("depends on no plugin, not even for its own tests", () => {
    const { dependencies, peerDependencies, devDependencies } = manifest;
    const declared = workspaceNames(dependencies, peerDependencies, devDependencies);
    const imported = uses(sources).map((use) => use.package);
    expect([...declared, ...imported].filter((name) => name.includes("/plugin-"))).toEqual([]);
  });

  test("declares every package that it imports", () => {
    const { dependencies, peerDependencies, devDependencies } = manifest;
    const runtime = { ...dependencies, ...peerDependencies };
    const forShipped = shipped(entry).filter((use) => !Object.hasOwn(runtime, use.package));
    const all = { ...runtime, ...devDependencies };
    const forTests = uses(sources).filter(
      (use) => !Object.hasOwn(all, use.package) && use.package !== manifest.name,
    );
    expect([...forShipped, ...forTests]).toEqual([]);
  });

  test("leaves native calls to linux and dependency injection to host", () => {
    const strays = uses(sources).filter((use) => (RESERVED[use.package] ?? room) !== room);
    expect(strays).toEqual([]);
  });

  test("imports its own files by relative paths that end in .ts or .json and stay inside", () => {
    const inside = join("packages", room) + "/";
    const wrong = sources.flatMap((file) =>
      [...importsOf(file)]
        .filter((specifier) => specifier.startsWith("."))
        .filter((specifier) => {
          const target = normalize(join(dirname(file.path), specifier));
          return !target.startsWith(inside) || !/\.(?:ts|json)$/.test(specifier);
        })
        .map((specifier) => `${file.path}: ${specifier}`),
    );
    expect(wrong).toEqual([]);
  });

  test("publishes nothing that leans on its tests", () => {
    const leaning = sources
      .filter((file) => !file.development)
      .filter((file) => [...importsOf(file)].some((name) => /\/testing\/|\.test\.ts$/.test(name)))
      .map((file) => file.path);
    expect(leaning).toEqual([]);
  });

  test("reaches other packages by what they export", () => {
    const exported = new Set(
      workspace.flatMap(({ manifest: other }) =>
        Object.keys(other.exports ?? {}).map((subpath) => `${other.name}${subpath.slice(1)}`),
      ),
    );
    const deep = uses(sources).filter(
      (use) => use.package.startsWith(SCOPE) && !exported.has(use.specifier),
    );
    expect(deep).toEqual([]);
  });
});

describe("The reading of imports", () => {
  test("sees every way to import, and no comment or text", () => {
    const text = `
      import type { A } from "a"; import { b } from "b/sub"; import "c"; import type * as Ns from "ns";
      export * from "d"; export type { E } from "e"; type F = import("f").F;
      const g = await import(/* why */ "g"); const h = createRequire(import.meta.url)("h");
      const i = require.resolve("i"); const j = require("j");
      // import "comment"
      const text = 'import "text"'; const other = call("k");`;
    const file: SourceFile = { path: "x.ts", text, development: false };
    expect([...importsOf(file)].toSorted()).toEqual(
      ["a", "b/sub", "c", "d", "e", "f", "g", "h", "i", "j", "ns"].toSorted(),
    );
  });
});
