import { execFile } from "node:child_process";
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { VfmigError } from "../../errors/vfmig-error.ts";
import { resolvePackage } from "./resolve-package.ts";

let folder: string;

beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), "vfmig-resolve-")));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function write(path: string, content: unknown = "export default 1;\n"): Promise<void> {
  const file = join(folder, path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, typeof content === "string" ? content : JSON.stringify(content));
}

/** Installs a package with these fields and empty modules at these paths. */
async function install(at: string, fields: object, ...modules: string[]): Promise<void> {
  const name = at.slice(at.lastIndexOf("node_modules/") + "node_modules/".length);
  await write(`${at}/package.json`, { name, version: "1.2.3", type: "module", ...fields });
  for (const module of modules) await write(`${at}/${module}`);
}

async function refusal(specifier: string, from: string = folder): Promise<VfmigError> {
  try {
    await resolvePackage(specifier, from);
  } catch (error) {
    if (error instanceof VfmigError) return error;
    throw error;
  }
  throw new Error("the package was found");
}

/** What Node itself resolves from a module in the folder. */
async function asNode(specifier: string): Promise<string> {
  const script = join(folder, "resolve-as-node.mjs");
  await writeFile(script, `console.log(import.meta.resolve(${JSON.stringify(specifier)}));`);
  const { stdout } = await promisify(execFile)(process.execPath, [script]);
  return pathToFileURL(await realpath(fileURLToPath(stdout.trim()))).href;
}

describe("a package", () => {
  test("that exports only to import is found with name, version, folder and module", async () => {
    await install(
      "node_modules/@acme/nic",
      { exports: { ".": { import: "./main.js" } } },
      "main.js",
    );
    const root = join(folder, "node_modules/@acme/nic");
    expect(await resolvePackage("@acme/nic", folder)).toEqual({
      specifier: "@acme/nic",
      name: "@acme/nic",
      version: "1.2.3",
      root,
      entry: pathToFileURL(join(root, "main.js")).href,
    });
  });

  test.each<[string, string, object, string[]]>([
    [
      "a subpath",
      "nic/model",
      { exports: { ".": "./a.js", "./model": "./lib/b.js" } },
      ["a.js", "lib/b.js"],
    ],
    [
      "a pattern",
      "nic/x/y",
      { exports: { "./*": "./lib/*.js", "./x/*": "./x/*.js" } },
      ["lib/x/y.js", "x/y.js"],
    ],
    [
      "nested conditions",
      "nic",
      { exports: { node: { require: "./c.cjs" }, default: "./d.js" } },
      ["c.cjs", "d.js"],
    ],
    [
      "the first condition that fits",
      "nic",
      { exports: { browser: "./b.js", import: "./i.js", node: "./n.js" } },
      ["b.js", "i.js", "n.js"],
    ],
    [
      "an array of targets",
      "nic",
      { exports: [{ browser: "./b.js" }, "./a.js"] },
      ["a.js", "b.js"],
    ],
    ["a plain text", "nic", { exports: "./e.js" }, ["e.js"]],
    ["main without exports", "nic", { main: "lib/m.js" }, ["lib/m.js"]],
    ["main without ending", "nic", { main: "./lib/m" }, ["lib/m.js"]],
    ["neither", "nic", {}, ["index.js"]],
    ["a file without exports", "nic/lib/f.js", {}, ["lib/f.js"]],
  ])("is resolved as Node resolves it: by %s", async (_, specifier, fields, modules) => {
    await install("node_modules/nic", fields, ...modules);
    expect((await resolvePackage(specifier, folder)).entry).toBe(await asNode(specifier));
  });

  test("is taken from the nearest node_modules upwards", async () => {
    await install("node_modules/nic", { version: "1.0.0" }, "index.js");
    await install("site/node_modules/nic", { version: "2.0.0" }, "index.js");
    await mkdir(join(folder, "site/rack/1"), { recursive: true });
    await mkdir(join(folder, "other"));
    expect((await resolvePackage("nic", join(folder, "site/rack/1"))).version).toBe("2.0.0");
    expect((await resolvePackage("nic", join(folder, "other"))).version).toBe("1.0.0");
  });

  test("that is a link has its real folder", async () => {
    await install("store/node_modules/nic", { exports: "./main.js" }, "main.js");
    await mkdir(join(folder, "node_modules"));
    await symlink(join(folder, "store/node_modules/nic"), join(folder, "node_modules/nic"));
    const found = await resolvePackage("nic", folder);
    expect(found.root).toBe(join(folder, "store/node_modules/nic"));
    expect(found.entry).toBe(pathToFileURL(join(found.root, "main.js")).href);
  });

  test("can name itself in the configuration that it ships for its own tests", async () => {
    await write("package.json", {
      name: "nic",
      version: "3.0.0",
      exports: "./main.js",
      type: "module",
    });
    await write("main.js");
    await mkdir(join(folder, "demo"));
    expect(await resolvePackage("nic", join(folder, "demo"))).toMatchObject({
      version: "3.0.0",
      root: folder,
      entry: await asNode("nic"),
    });
  });

  test("that is not installed is refused with the command that installs it", async () => {
    const error = await refusal("@acme/nic/model");
    expect(error.code).toBe("ERR_VFMIG_PACKAGE_NOT_INSTALLED");
    expect(error.message).toContain("npm install @acme/nic");
    expect(error.message).not.toContain("npm install @acme/nic/model");
    expect(error.message).toContain(folder);
  });

  test("is found once it has been installed after a refusal", async () => {
    expect((await refusal("nic")).code).toBe("ERR_VFMIG_PACKAGE_NOT_INSTALLED");
    await install("node_modules/nic", {}, "index.js");
    expect((await resolvePackage("nic", folder)).version).toBe("1.2.3");
  });

  test.each<[string, string, object]>([
    ["an export that it does not have", "nic/absent", { exports: { ".": "./main.js" } }],
    ["an export that is closed", "nic/secret", { exports: { ".": "./main.js", "./secret": null } }],
    ["nothing for import", "nic", { exports: { ".": { require: "./main.js" } } }],
    ["a module that is not there", "nic", { exports: "./gone.js" }],
    ["a folder as module", "nic", { exports: "./lib" }],
    ["a target outside itself", "nic", { exports: "./../other/index.js" }],
    [
      "a target that climbs out by a pattern",
      "nic/x",
      { exports: { "./*": "./lib/../../../*.js" } },
    ],
  ])("with %s is refused", async (_, specifier, fields) => {
    await install("node_modules/nic", fields, "main.js", "lib/a.js");
    const error = await refusal(specifier);
    expect(error.code).toBe("ERR_VFMIG_PACKAGE_ENTRY");
    expect(error.message).toContain(specifier);
  });

  test("whose module is a link out of its folder is refused", async () => {
    await write("elsewhere.js");
    await install("node_modules/nic", { exports: "./main.js" });
    await symlink(join(folder, "elsewhere.js"), join(folder, "node_modules/nic/main.js"));
    expect((await refusal("nic")).code).toBe("ERR_VFMIG_PACKAGE_ENTRY");
  });

  test.each<[string, unknown]>([
    ["no package.json", undefined],
    ["a broken package.json", "{"],
    ["a package.json that is an array", []],
    ["no version", { name: "nic" }],
    ["the name of another", { name: "cin", version: "1.0.0" }],
  ])("with %s is refused", async (_, json) => {
    await write("node_modules/nic/index.js");
    if (json !== undefined) await write("node_modules/nic/package.json", json);
    expect((await refusal("nic")).code).toBe("ERR_VFMIG_PACKAGE_INVALID");
  });

  test("named by a path or a URL is refused before anything is read", async () => {
    expect((await refusal("./nic")).code).toBe("ERR_VFMIG_PACKAGE_SPECIFIER");
    expect((await refusal("node:fs")).code).toBe("ERR_VFMIG_PACKAGE_SPECIFIER");
  });
});
