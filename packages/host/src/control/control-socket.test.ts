import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "@vfmig/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Host } from "../host.ts";
import { askControl } from "./control-client.ts";
import { openControl } from "./control-server.ts";

describe("the control socket", () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "vfmig-control-"));
  });

  afterEach(() => rm(folder, { recursive: true }));

  const host: Host = {
    loaded: { file: "", folder: "", config: { devices: [] } },
    devices: [],
    runtimeFolder: "",
    logger: silentLogger,
    replace: () => Promise.reject(new Error("there is nothing to replace")),
    [Symbol.asyncDispose]: async () => {},
  };

  it("takes the place of no file, whatever it holds", async () => {
    const path = join(folder, "notes");
    await writeFile(path, "precious");
    await expect(openControl(host, path)).rejects.toMatchObject({
      code: "ERR_VFMIG_HOST_SOCKET",
      message: expect.stringContaining("a file is there already, and is not overwritten") as string,
    });
    expect(await readFile(path, "utf8")).toBe("precious");
  });

  it("is refused where another host listens, and answers on there", async () => {
    const path = join(folder, "control.sock");
    await using _first = await openControl(host, path);
    await expect(openControl(host, path)).rejects.toMatchObject({
      code: "ERR_VFMIG_HOST_SOCKET",
      message: expect.stringMatching(/EADDRINUSE.*Stop whoever listens/) as string,
    });
    expect(await askControl(path, "GET", "/devices")).toMatchObject({ devices: [] });
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });
});
