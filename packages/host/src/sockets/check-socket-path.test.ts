import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { VfmigError } from "@vfmig/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { checkSocketPath } from "./check-socket-path.ts";
import { listening } from "./listening.ts";
import { socketPathOf } from "./socket-path.ts";

describe("a path at which no socket can be made", () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "vfmig-sockets-"));
    await writeFile(join(folder, "file"), "precious");
    await mkdir(join(folder, "folder"));
    await symlink(join(folder, "elsewhere"), join(folder, "link"));
  });

  afterEach(() => rm(folder, { recursive: true }));

  const refusal = (path: string): Promise<unknown> =>
    checkSocketPath("The socket", path).catch((error: unknown) => error);

  it.each([
    ["in a folder that is not there", "no/vf.sock", /the folder .*\/no is not there.*mkdir -p /],
    ["below a file", "file/vf.sock", /\/file is no folder/],
    ["further below a file", "file/in/vf.sock", /part of .*\/file\/in is no folder/],
    ["at a file", "file", /a file is there already, and is not overwritten/],
    ["at a folder", "folder", /a folder is there already/],
    ["at a link, wherever it leads", "link", /a symbolic link is there already/],
    ["of too many bytes", "ü".repeat(60), /bytes, and a unix socket's may have 107.*shorter/],
  ])("is told with what to do: %s", async (_, path, says) => {
    expect(await refusal(join(folder, path))).toMatchObject({
      code: "ERR_VFMIG_HOST_SOCKET",
      message: expect.stringMatching(says) as string,
    });
  });

  it.runIf(process.getuid?.() !== 0)("is told where it may not be written to", async () => {
    const closed = join(folder, "closed");
    await mkdir(closed, { mode: 0o500 });
    expect(await refusal(join(closed, "vf.sock"))).toMatchObject({
      message: expect.stringMatching(/may not be written to by this user/) as string,
    });
  });

  it("may be of 107 bytes, or that of a socket that is there", async () => {
    const path = join(folder, "x".repeat(107 - folder.length - 1));
    expect(await refusal(path)).toBeUndefined();
    expect(await refusal(`${path}x`)).toBeInstanceOf(VfmigError);
    await using server = createServer();
    await new Promise<void>((resolve) => void server.listen(path, resolve));
    expect(await refusal(path)).toBeUndefined();
  });

  it("is told as taken where another process listens", () => {
    const path = join(folder, "vf.sock");
    const taken = new VfmigError("ERR_VFMIG_SYSTEM_CALL", "bind failed", {
      layer: "linux",
      details: { path, errno: "EADDRINUSE" },
    });
    const listen = (): never => {
      throw taken;
    };
    expect(() => listening("vf0", path, listen)).toThrow(
      /socket of device "vf0" .*another process listens there/,
    );
    // Whatever has nothing to do with the path passes as it is.
    expect(() => listening("vf0", "/other", listen)).toThrow(taken);
  });
});

describe("the socket of a device", () => {
  const folders = { folder: "/etc/vfmig", runtimeFolder: "/tmp/run" };

  it.each([
    ["in the run's folder where its entry names none", undefined, "/tmp/run/vf0.sock"],
    ["in the configuration's folder where its entry has a relative path", "a/b", "/etc/vfmig/a/b"],
    ["where its entry says, if that begins at the root", "/run/vf0.sock", "/run/vf0.sock"],
  ])("is %s", (_, socket, path) => {
    expect(socketPathOf({ name: "vf0", socket }, folders)).toBe(path);
  });
});
