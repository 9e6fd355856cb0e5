import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLinuxIo } from "@vfmig/linux";
import { afterAll, describe, expect, it } from "vitest";
import { listenOn } from "./socket-file.ts";

describe("a server's socket file", () => {
  const io = createLinuxIo();
  const folder = mkdtempSync(join(tmpdir(), "vfmig-"));
  afterAll(() => rmSync(folder, { recursive: true }));

  it("goes with its server", () => {
    const path = join(folder, "a");
    const listener = listenOn(io, path);
    expect(existsSync(path)).toBe(true);
    listener.close();
    expect(existsSync(path)).toBe(false);
  });

  it("is replaced where its server has died", () => {
    const path = join(folder, "b");
    io.close(io.listen(path));
    const listener = listenOn(io, path);
    io.close(io.connect(path));
    listener.close();
  });

  it("is left alone where somebody listens, or where it is another file", () => {
    const path = join(folder, "c");
    const first = listenOn(io, path);
    expect(() => listenOn(io, path)).toThrow("EADDRINUSE");
    io.close(io.connect(path));
    first.close();
    const file = join(folder, "d");
    writeFileSync(file, "notes");
    expect(() => listenOn(io, file)).toThrow("EADDRINUSE");
    expect(existsSync(file)).toBe(true);
  });

  it("is not removed by a server whose file was replaced by another's", () => {
    const path = join(folder, "e");
    const first = listenOn(io, path);
    rmSync(path);
    const second = listenOn(io, path);
    first.close();
    expect(existsSync(path)).toBe(true);
    second.close();
    expect(existsSync(path)).toBe(false);
  });
});
