import { execFileSync } from "node:child_process";
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { VfmigError } from "@vfmig/core";
import { countOpenFds, failure } from "../testing/native-io-rig.ts";
import { EventFd } from "../event-fd.ts";
import { EFD_CLOEXEC } from "./abi.ts";
import { loadLibc } from "./libc.ts";
import { createLinuxIo } from "./linux-io.ts";

const io = createLinuxIo();
let folder = "";
let before = 0;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "vfmig-"));
  before = countOpenFds();
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
  if (countOpenFds() !== before) throw new Error("descriptors were leaked");
});

function withFile<T>(use: (fd: number) => T): T {
  const fd = openSync(join(folder, "file"), "w+");
  try {
    return use(fd);
  } finally {
    closeSync(fd);
  }
}

/** Whether a program that this process starts would inherit `fd`. */
function inherited(fd: number): boolean {
  const flags = execFileSync("cat", [`/proc/${process.pid}/fdinfo/${fd}`], { encoding: "utf8" });
  const octal = /flags:\s*(\d+)/u.exec(flags)?.[1] ?? "";
  return (Number.parseInt(octal, 8) & 0o2000000) === 0;
}

describe("files of Linux", () => {
  test("a file on disk is no memfd, and anybody can shrink it", () => {
    withFile((fd) => {
      writeSync(fd, "hello");
      expect(io.status(fd)).toEqual({ kind: "file", size: 5n, shrinkSealed: false });
    });
  });

  test("a device and a pipe are told apart", () => {
    const device = openSync("/dev/null", "r");
    expect(io.status(device).kind).toBe("device");
    closeSync(device);
  });

  test("a memfd of ours cannot be shrunk under a mapping", () => {
    const fd = io.memfd("sealed", io.pageSize);
    expect(() => ftruncateSync(fd, 0)).toThrow("EPERM");
    io.close(fd);
  });

  test("a file on disk can be mapped as far as it goes", () => {
    withFile((fd) => {
      writeSync(fd, "hello");
      using memory = io.mmap(fd, 5);
      expect(new TextDecoder().decode(memory.bytes)).toBe("hello");
      expect(failure(() => io.mmap(fd, io.pageSize + 1))).toBe("ERR_VFMIG_FILE_RANGE");
    });
  });

  test("a mapping that the kernel refuses leaves nothing open", () => {
    const fd = openSync("/dev/null", "r+");
    expect(failure(() => io.mmap(fd, io.pageSize))).toBe("ENODEV");
    closeSync(fd);
  });

  test("every descriptor closes on exec, also a received one", () => {
    const event = io.eventfd();
    const [one, other] = io.socketPair();
    const path = join(folder, "s");
    const listener = io.listen(path);
    const client = io.connect(path);
    const received: number[] = [];
    io.send(one, new Uint8Array(1), 0, 1, [event]);
    io.receive(other, new Uint8Array(1), 0, 1, received);
    const all = [
      event,
      one,
      other,
      listener,
      client,
      io.accept(listener),
      io.dup(event),
      io.memfd("m", 1),
      ...received,
    ];
    expect(all.filter(inherited)).toEqual([]);
    for (const fd of all) io.close(fd);
  });

  test("a full counter drops a signal instead of blocking", () => {
    const fd = io.eventfd();
    const most = new BigUint64Array([2n ** 64n - 2n]);
    writeSync(fd, new Uint8Array(most.buffer));
    io.signalEventfd(fd);
    expect(io.drainEventfd(fd)).toBe(2 ** 64);
    io.close(fd);
  });

  test("a full eventfd that a peer made blocking does not stop this thread", () => {
    const fd = loadLibc().eventfd(0, EFD_CLOEXEC);
    const most = new BigUint64Array([2n ** 64n - 2n]);
    writeSync(fd, new Uint8Array(most.buffer));
    const event = EventFd.adopt(io, fd);
    event.signal();
    expect(event.drain()).toBe(2 ** 64);
    expect(event.drain()).toBe(0);
    event[Symbol.dispose]();
  });

  test("tells whether an eventfd blocks, and whether there is room in it", () => {
    const fd = loadLibc().eventfd(0, EFD_CLOEXEC);
    expect(io.blocks(fd)).toBe(true);
    expect(io.waitWritable(fd, 0)).toBe(true);
    writeSync(fd, new Uint8Array(new BigUint64Array([2n ** 64n - 2n]).buffer));
    expect(io.waitWritable(fd, 0)).toBe(false);
    io.drainEventfd(fd);
    expect(io.waitWritable(fd, 0)).toBe(true);
    io.setNonBlocking(fd);
    expect(io.blocks(fd)).toBe(false);
    io.close(fd);
  });

  test("an error names the call that failed, not one made while cleaning up", () => {
    const error = (() => {
      try {
        io.connect(join(folder, "nobody"));
        return undefined;
      } catch (caught) {
        return caught;
      }
    })();
    if (!VfmigError.is(error)) throw new Error("it should have failed");
    expect(error.details).toMatchObject({ call: "connect", errno: "ENOENT", errnoNumber: 2 });
    expect(error.message).toContain(folder);
    expect(error.layer).toBe("linux");
  });

  test("a socket's file stays when its listener is closed, and the path stays taken", () => {
    const path = join(folder, "s");
    io.close(io.listen(path));
    expect(failure(() => io.listen(path))).toBe("EADDRINUSE");
    expect(failure(() => io.connect(path))).toBe("ECONNREFUSED");
  });

  test("a path of 107 bytes can be listened on", () => {
    const path = `${folder}/`.padEnd(107, "x");
    const listener = io.listen(path);
    io.close(io.connect(path));
    const accepted = io.accept(listener);
    expect(accepted).toBeGreaterThan(0);
    io.close(accepted);
    io.close(listener);
  });

  test("a wait for a time that is no number is no wait", () => {
    const fd = io.eventfd();
    expect(io.waitReadable(fd, Number.NaN)).toBe(false);
    expect(io.waitReadable(fd, -1)).toBe(false);
    io.close(fd);
  });
});
