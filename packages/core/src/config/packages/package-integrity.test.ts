import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import {
  chmod,
  mkdir,
  mkdtemp,
  readFile,
  realpath,
  rename,
  rm,
  symlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { importPackage } from "./import-package.ts";
import { packageIntegrity, verifyIntegrity } from "./package-integrity.ts";
import { packedFiles } from "./packed-files.ts";
import { resolvePackage } from "./resolve-package.ts";

let folder: string;
let root: string;
let marker: string;

async function write(path: string, content: string): Promise<void> {
  const file = join(root, path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, content);
}

async function manifest(fields: object): Promise<void> {
  const json = {
    name: "nic",
    version: "1.0.0",
    type: "module",
    exports: "./dist/main.js",
    ...fields,
  };
  await write("package.json", JSON.stringify(json));
}

const published = [
  "LICENSE",
  "README.md",
  "data/table.bin",
  "dist/deep/part.js",
  "dist/main.js",
  "package.json",
];

/** A package that leaves a mark when any of it runs. */
beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), "vfmig-integrity-")));
  root = join(folder, "node_modules/nic");
  marker = join(folder, "it-ran");
  await manifest({ files: ["dist", "data"] });
  await write("README.md", "nic\n");
  await write("LICENSE", "free\n");
  await write("data/table.bin", "\0\u0001\u0002");
  await write("dist/deep/part.js", "export const part = 1;\n");
  await write(
    "dist/main.js",
    `import { writeFileSync } from "node:fs";\nimport "./deep/part.js";\n` +
      `writeFileSync(${JSON.stringify(marker)}, "");\nexport default { name: "nic" };\n`,
  );
  await write("test/secret.js", "not published\n");
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe("an integrity", () => {
  test("covers what npm would publish, and nothing else", async () => {
    expect(await packedFiles(root)).toEqual(published);
  });

  test("is the hash that its definition says", async () => {
    const hash = createHash("sha512").update("vfmig-package-integrity-1\n");
    for (const path of published) {
      const content = await readFile(join(root, path));
      for (const part of [Buffer.from(path), content]) {
        const length = Buffer.alloc(8);
        length.writeUInt32BE(part.length, 4);
        hash.update(length).update(part);
      }
    }
    expect(await packageIntegrity(root)).toBe(`sha512-${hash.digest("base64")}`);
  });

  test("is the same in another folder, at another time, with other modes", async () => {
    const before = await packageIntegrity(root);
    const moved = join(folder, "moved");
    await chmod(join(root, "dist/main.js"), 0o755);
    await utimes(join(root, "dist/main.js"), 1, 1);
    await rename(root, moved);
    expect(await packageIntegrity(moved)).toBe(before);
  });

  test("does not change with files that are not published or with installed dependencies", async () => {
    const before = await packageIntegrity(root);
    await write("test/more.js", "x");
    await write("node_modules/other/index.js", "x");
    await write(
      "node_modules/other/package.json",
      JSON.stringify({ name: "other", version: "1.0.0" }),
    );
    expect(await packageIntegrity(root)).toBe(before);
  });

  test("changes when a file is added, renamed, emptied, removed or becomes a link", async () => {
    const seen = new Set([await packageIntegrity(root)]);
    await write("dist/added.js", "");
    seen.add(await packageIntegrity(root));
    await rename(join(root, "dist/added.js"), join(root, "dist/named.js"));
    seen.add(await packageIntegrity(root));
    await write("data/table.bin", "");
    seen.add(await packageIntegrity(root));
    await rm(join(root, "data/table.bin"));
    seen.add(await packageIntegrity(root));
    await rm(join(root, "dist/named.js"));
    await symlink(join(root, "dist/main.js"), join(root, "dist/named.js"));
    await rm(join(root, "dist/deep/part.js"));
    seen.add(await packageIntegrity(root));
    expect(seen.size).toBe(6);
  });

  test("tells apart bytes that moved from one file to the next", async () => {
    await write("data/a", "12");
    await write("data/b", "3");
    const before = await packageIntegrity(root);
    await write("data/a", "1");
    await write("data/b", "23");
    expect(await packageIntegrity(root)).not.toBe(before);
  });

  test("covers what is always published: the module of main and of bin in any spelling", async () => {
    await manifest({ files: ["data"], main: "./other/m.js", bin: "./cli/run.js" });
    await write("other/m.js", "m");
    await write("cli/run.js", "b");
    expect(await packedFiles(root)).toEqual(
      expect.arrayContaining(["other/m.js", "cli/run.js", "data/table.bin"]),
    );
  });

  test("covers all but the ignored where the package names no files", async () => {
    await manifest({});
    await write(".npmignore", "test\n");
    expect(await packedFiles(root)).toEqual(published);
  });

  test.each(["bundleDependencies", "bundledDependencies"])(
    "covers bundled dependencies and theirs, by %s",
    async (key) => {
      await manifest({
        files: ["dist", "data"],
        dependencies: { "@in/a": "1", out: "1" },
        [key]: ["@in/a"],
      });
      const json = { name: "@in/a", version: "1.0.0", dependencies: { b: "1", "@in/a": "1" } };
      await write("node_modules/@in/a/package.json", JSON.stringify(json));
      await write("node_modules/@in/a/index.js", "a");
      await write("node_modules/b/package.json", JSON.stringify({ name: "b", version: "1.0.0" }));
      await write("node_modules/b/index.js", "b");
      await write(
        "node_modules/out/package.json",
        JSON.stringify({ name: "out", version: "1.0.0" }),
      );
      const before = await packageIntegrity(root);
      expect(await packedFiles(root)).toEqual(
        [
          ...published,
          "node_modules/@in/a/index.js",
          "node_modules/@in/a/package.json",
          "node_modules/b/index.js",
          "node_modules/b/package.json",
        ].toSorted(),
      );
      await write("node_modules/b/index.js", "B");
      expect(await packageIntegrity(root)).not.toBe(before);
    },
  );

  test.each<[string, object]>([
    ["files", { files: "dist" }],
    ["files of numbers", { files: [1, "dist", null] }],
    ["bin", { bin: { a: 1 } }],
    ["bin as array", { bin: ["./x"] }],
    ["main", { main: { a: 1 } }],
    ["bundles", { bundleDependencies: [1, "../../outside"], dependencies: 7 }],
  ])("is taken without a crash where package.json has odd %s", async (_, fields) => {
    await manifest(fields);
    expect(await packageIntegrity(root)).toMatch(/^sha512-/);
  });
});

describe("a pinned package", () => {
  test("whose files are the pinned ones is run", async () => {
    const resolved = await resolvePackage("nic", folder);
    const pin = await packageIntegrity(root);
    expect(await verifyIntegrity(resolved, pin)).toBe(pin);
    expect(existsSync(marker)).toBe(false);
    expect(await importPackage(resolved, pin)).toEqual({ value: { name: "nic" }, integrity: pin });
    expect(existsSync(marker)).toBe(true);
  });

  test.each(published.filter((file) => file !== "package.json"))(
    "of which one byte of %s was changed is refused and never run",
    async (file) => {
      const resolved = await resolvePackage("nic", folder);
      const pin = await packageIntegrity(root);
      const bytes = await readFile(join(root, file));
      bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 0x20;
      await writeFile(join(root, file), bytes);
      const found = await packageIntegrity(root);
      await expect(importPackage(resolved, pin)).rejects.toThrow(
        expect.objectContaining({
          code: "ERR_VFMIG_PLUGIN_INTEGRITY",
          message: expect.stringContaining(`expected ${pin}\n  found    ${found}`),
          details: expect.objectContaining({ expected: pin, found }),
        }),
      );
      expect(existsSync(marker)).toBe(false);
    },
  );

  test("of which one byte of package.json was changed is refused and never run", async () => {
    const resolved = await resolvePackage("nic", folder);
    const pin = await packageIntegrity(root);
    await manifest({ files: ["dist", "data"], version: "1.0.1" });
    await expect(importPackage(resolved, pin)).rejects.toThrow(
      expect.objectContaining({ code: "ERR_VFMIG_PLUGIN_INTEGRITY" }),
    );
    expect(existsSync(marker)).toBe(false);
  });

  test("whose module is not among the published files is refused, since no pin covers it", async () => {
    await manifest({ files: ["data"] });
    const resolved = await resolvePackage("nic", folder);
    const pin = await packageIntegrity(root);
    await expect(importPackage(resolved, pin)).rejects.toThrow(
      expect.objectContaining({
        code: "ERR_VFMIG_PLUGIN_INTEGRITY",
        message: expect.stringContaining("dist/main.js"),
      }),
    );
    expect(existsSync(marker)).toBe(false);
  });

  test("with a pin that is no integrity is refused", async () => {
    const resolved = await resolvePackage("nic", folder);
    await expect(verifyIntegrity(resolved, "sha256-abc")).rejects.toThrow(
      expect.objectContaining({ code: "ERR_VFMIG_PLUGIN_INTEGRITY" }),
    );
  });
});

describe("an imported package", () => {
  test("that pins nothing is still hashed", async () => {
    const resolved = await resolvePackage("nic", folder);
    expect((await importPackage(resolved)).integrity).toBe(await packageIntegrity(root));
  });

  test.each([
    ["throws", "throw new Error('boom');", "boom"],
    ["exports nothing", "export const x = 1;", "no default export"],
  ])("that %s is blamed by name", async (_, source, why) => {
    await write("dist/main.js", source);
    const resolved = await resolvePackage("nic", folder);
    await expect(importPackage(resolved)).rejects.toThrow(
      expect.objectContaining({
        code: "ERR_VFMIG_PACKAGE_IMPORT",
        message: expect.stringMatching(new RegExp(`nic 1\\.0\\.0.*${why}`, "s")),
      }),
    );
  });
});
