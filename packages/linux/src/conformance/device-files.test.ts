import { expect, test } from "vitest";
import { MEMORY_UNLIMITED } from "../native-io.ts";
import { describeNativeIo, failure } from "../testing/native-io-rig.ts";

/** `_IOR('T', 210, unsigned int)`, as no eventfd knows it. */
const SIZED = 0x8004_54d2;

/** The errno or code with which a call in another thread ends. */
async function laterFailure(run: () => Promise<unknown>): Promise<unknown> {
  const outcome = await run().then(
    () => undefined,
    (error: unknown) => error,
  );
  return outcome === undefined ? undefined : failure(() => raise(outcome));
}

function raise(error: unknown): never {
  throw error;
}

describeNativeIo("device files", (rig) => {
  test("that do not exist cannot be opened", () => {
    expect(failure(() => rig.io.open("/dev/vfmig-none"))).toBe("ENOENT");
  });

  test("refuse positions that are no positions", () => {
    const fd = rig.own(rig.io.eventfd());
    const bytes = new Uint8Array(4);
    for (const position of [-1, 0.5, Number.NaN, 2 ** 53]) {
      expect(failure(() => rig.io.pread(fd, bytes, 0, 4, position))).toBe("EINVAL");
      expect(failure(() => rig.io.pwrite(fd, bytes, 0, 4, position))).toBe("EINVAL");
    }
    expect(failure(() => rig.io.pread(fd, bytes, 2, 4, 0))).toBe("ERR_VFMIG_BUFFER_RANGE");
  });

  test("refuse in another thread what they refuse in this one", async () => {
    const fd = rig.own(rig.io.eventfd());
    const { io } = rig;
    expect(await laterFailure(() => io.ioctlLater(fd, SIZED, new Uint8Array(4)))).toBe("ENOTTY");
    expect(await laterFailure(() => io.ioctlLater(-1, SIZED, new Uint8Array(4)))).toBe("EBADF");
    expect(await laterFailure(() => io.ioctlLater(fd, SIZED, new Uint8Array(3)))).toBe(
      "ERR_VFMIG_BUFFER_RANGE",
    );
    expect(await laterFailure(() => io.readLater(fd, new Uint8Array(2), 0, 4))).toBe(
      "ERR_VFMIG_BUFFER_RANGE",
    );
    expect(await laterFailure(() => io.writeLater(fd, new Uint8Array(2), 0, 2))).toBe("EINVAL");
  });

  test("refuse pointers that lie outside of a request, or point to nothing", () => {
    const fd = rig.own(rig.io.eventfd());
    const memory = new Uint8Array(8);
    const request = new Uint8Array(12);
    for (const pointer of [
      { at: 5, memory },
      { at: -1, memory },
      { at: 0, memory: new Uint8Array(0) },
    ]) {
      expect(failure(() => rig.io.ioctl(fd, SIZED, request, [pointer]))).toBe(
        "ERR_VFMIG_BUFFER_RANGE",
      );
    }
  });

  test("need locked memory, whose limit is never lowered", () => {
    const before = rig.io.memoryLockLimit();
    expect(before).toBeGreaterThan(0n);
    rig.io.raiseMemoryLock(1n);
    rig.io.raiseMemoryLock(before);
    expect(rig.io.memoryLockLimit()).toBe(before);
    for (const bytes of [-1n, MEMORY_UNLIMITED + 1n]) {
      expect(failure(() => rig.io.raiseMemoryLock(bytes))).toBe("EINVAL");
    }
    expect(failure(() => rig.io.raiseMemoryLock(1n, -2))).toBe("EINVAL");
  });
});
