import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { ROOT, readWorkspace } from "./workspace.ts";

/** A module that tells how its process looks before and after `action`. */
const probeOf = (action: string): string => `
  import { readFileSync } from "node:fs";
  const keys = (value) => Reflect.ownKeys(value).map(String).toSorted();
  const types = [Object, Array, Function, Promise, Map, Uint8Array, String, Error, Buffer];
  const shot = () => ({
    globals: keys(globalThis),
    builtins: types.flatMap((type) => [...keys(type), ...keys(type.prototype)]),
    reflect: keys(Reflect),
    listeners: process.eventNames().map((name) => [String(name), process.listenerCount(name)]),
    resources: process.getActiveResourcesInfo().toSorted(),
    environment: { ...process.env },
    folder: process.cwd(),
    umask: process.umask(),
    exitCode: process.exitCode ?? null,
    title: process.title,
    native: readFileSync("/proc/self/maps", "utf8").split("\\n")
      .map((line) => line.slice(73)).filter((path) => path.endsWith(".node")).toSorted(),
  });
  const settled = () => new Promise((resolve) => setImmediate(resolve));
  // Made when first touched; not what an import is judged by.
  void [process.stdin, process.stdout, process.stderr];
  await settled();
  const before = shot();
  ${action}
  await settled();
  process.stdout.write(JSON.stringify({ before, after: shot() }));
`;

/** What zod leaves for its other copies to find; holds nothing until someone registers. */
const ZOD = ["__zod_globalConfig", "__zod_globalRegistry"];

/** Rooms that bring reflect-metadata and tsyringe along: the one that may, and those above it. */
const INJECTING = ["host", "cli"];
const METADATA =
  /^(?:Symbol\(@reflect-metadata:registry\)|decorate|metadata|(?:define|delete|get|has)(?:Own)?Metadata(?:Keys)?)$/;
/** The helpers of tslib 1, which tsyringe brings and which that version puts on globalThis. */
const TSLIB = /^__[a-z][A-Za-z]+$/;

interface Shot {
  readonly globals: readonly string[];
  readonly reflect: readonly string[];
  readonly native: readonly string[];
}

/** Runs in a process of its own, on the built packages as users get them. */
async function probe(action: string): Promise<{ readonly before: Shot; readonly after: Shot }> {
  const { stdout, stderr } = await promisify(execFile)(
    process.execPath,
    ["--input-type=module", "--eval", probeOf(action)],
    { cwd: join(ROOT, "test"), env: { PATH: process.env["PATH"], HOME: "/nonexistent" } },
  );
  expect(stderr).toBe("");
  return JSON.parse(stdout);
}

const entries = (await readWorkspace()).flatMap(({ room, manifest }) =>
  Object.keys(manifest.exports ?? {})
    .filter((subpath) => !subpath.endsWith(".json"))
    .map((subpath) => [`${manifest.name}${subpath.slice(1)}`, room] as const),
);

describe("Importing", () => {
  test.each(entries)("%s changes nothing in its process", async (specifier, room) => {
    const { before, after } = await probe(`await import("${specifier}");`);
    const injecting = INJECTING.includes(room);
    const isNew = (list: readonly string[], key: string): boolean => !list.includes(key);
    const globals = after.globals.filter(
      (key) => !ZOD.includes(key) && !(injecting && TSLIB.test(key) && isNew(before.globals, key)),
    );
    const reflect = after.reflect.filter(
      (key) => !(injecting && METADATA.test(key) && isNew(before.reflect, key)),
    );
    expect({ ...after, globals, reflect }).toEqual(before);
  });
});

test("The probe itself notices a global, a listener, a timer and a variable", async () => {
  const { before, after } = await probe(`
    globalThis.stray = 1; process.on("exit", () => {}); setTimeout(() => {}, 50);
    process.env.STRAY = "1"; Reflect.stray = 1; Array.prototype.stray = 1;`);
  const differing = Object.keys(before).filter(
    (key) => JSON.stringify(Reflect.get(before, key)) !== JSON.stringify(Reflect.get(after, key)),
  );
  expect(differing).toEqual([
    "globals",
    "builtins",
    "reflect",
    "listeners",
    "resources",
    "environment",
  ]);
});

test("Native code is loaded by the first system call, not by the import of linux", async () => {
  const imported = await probe(`await import("@vfmig/linux");`);
  expect(imported.after.native).toEqual([]);
  const used = await probe(`
    const { createLinuxIo } = await import("@vfmig/linux");
    const io = createLinuxIo();
    io.close(io.eventfd());`);
  expect(used.after.native).not.toEqual([]);
  expect(used.after.native.every((path) => path.includes("koffi"))).toBe(true);
});
