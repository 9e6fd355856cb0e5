import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger, type Logger } from "@vfmig/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { makeRuntimeFolder } from "./runtime-folder.ts";

let parent = "";
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), "vfmig-folders-"));
});
afterEach(() => rmSync(parent, { recursive: true }));

/** A folder of an earlier run, whose owner is this process but for `changes`. */
async function earlier(changes: object): Promise<string> {
  const folder = await makeRuntimeFolder(silentLogger, parent);
  const file = join(folder, "owner.json");
  const owner: unknown = JSON.parse(readFileSync(file, "utf8"));
  writeFileSync(file, JSON.stringify({ ...(owner as object), ...changes }));
  writeFileSync(join(folder, "vf0.sock"), "");
  return folder;
}

describe("the folder of a run", () => {
  it("is a new one each time, and those of living runs stay", async () => {
    const first = await makeRuntimeFolder(silentLogger, parent);
    const second = await makeRuntimeFolder(silentLogger, parent);
    expect(first).not.toBe(second);
    expect([existsSync(first), existsSync(second)]).toEqual([true, true]);
  });

  it.each([
    ["whose process is gone", { pid: 2 ** 30 }],
    ["whose process number is another process's now", { started: "1" }],
    ["of an earlier boot", { boot: "another" }],
  ])("%s is removed by the next run, which says so", async (_name, changes) => {
    const folder = await earlier(changes);
    const said: string[] = [];
    const logger: Logger = { ...silentLogger, info: (text) => void said.push(text) };
    await makeRuntimeFolder(logger, parent);
    expect(existsSync(folder)).toBe(false);
    expect(said).toEqual([expect.stringContaining(folder)]);
  });

  it.each([
    ["of another process namespace", { pid: 2 ** 30, pidNamespace: "pid:[1]" }],
    ["whose owner cannot be read", { pid: "none" }],
  ])("%s stays", async (_name, changes) => {
    const folder = await earlier(changes);
    await makeRuntimeFolder(silentLogger, parent);
    expect(existsSync(folder)).toBe(true);
  });

  it.each(["vfmig-abc12", "vfmig-abc1234", "vfmig-e2e-abc123", "vfmig-abc123", "other"])(
    "%s without an owner stays",
    async (name) => {
      mkdirSync(join(parent, name));
      await makeRuntimeFolder(silentLogger, parent);
      expect(existsSync(join(parent, name))).toBe(true);
    },
  );
});
