import { describe, expect, test, vi } from "vitest";
import { failure } from "../testing/native-io-rig.ts";
import { runNode } from "../testing/run-node.ts";
import { loadLibc } from "./libc.ts";

describe("native code", () => {
  test.each([
    { platform: "darwin", arch: "arm64" },
    { platform: "win32", arch: "x64" },
    { platform: "linux", arch: "riscv64" },
  ])("is refused on $platform $arch, with a code", (machine) => {
    expect(failure(() => loadLibc(machine))).toBe("ERR_VFMIG_NATIVE_UNAVAILABLE");
  });

  test("that does not load is the cause of an error with a code", () => {
    const cause = new Error("no binary");
    const load = (): never => {
      throw cause;
    };
    expect(() => loadLibc({ platform: "linux", arch: "x64" }, load)).toThrow(
      expect.objectContaining({ code: "ERR_VFMIG_NATIVE_UNAVAILABLE", cause }),
    );
  });

  test("is loaded by the first use, and not by an import", () => {
    const { out, err } = runNode(`
      import { readFileSync } from "node:fs";
      const loaded = () => readFileSync("/proc/self/maps", "utf8").includes("koffi");
      const { createLinuxIo } = await import("@vfmig/linux");
      await import("@vfmig/linux/fake");
      const before = loaded();
      createLinuxIo();
      console.log(before, loaded());
    `);
    expect(err).toBe("");
    expect(out).toBe("false true\n");
  });

  test("survives that its module is loaded twice, since no native type has a name", async () => {
    const first = await import("./linux-io.ts");
    vi.resetModules();
    const second = await import("./linux-io.ts");
    expect(second.createLinuxIo).not.toBe(first.createLinuxIo);
    const [one, other] = [first.createLinuxIo(), second.createLinuxIo()];
    const fd = one.eventfd();
    other.signalEventfd(fd);
    expect(one.drainEventfd(fd)).toBe(1);
    other.close(fd);
  });
});
