import { closeSync, openSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { collectGarbage } from "../testing/garbage.ts";
import { countOpenFds, failure, turns } from "../testing/native-io-rig.ts";
import { runNode } from "../testing/run-node.ts";
import { createLinuxIo } from "./linux-io.ts";

describe("watches of Linux", () => {
  test("go on when nobody holds them, nor what made them", async () => {
    const io = createLinuxIo();
    const fd = io.eventfd();
    let calls = 0;
    (() => {
      const watch = createLinuxIo().watch(fd, () => {
        calls++;
        io.drainEventfd(fd);
        if (calls === 2) watch[Symbol.dispose]();
      });
    })();
    for (let times = 5; times > 0; times--) {
      collectGarbage();
      // oxlint-disable-next-line no-await-in-loop -- finalizers run between turns
      await turns(2);
    }
    io.signalEventfd(fd);
    await turns();
    collectGarbage();
    io.signalEventfd(fd);
    await turns();
    expect(calls).toBe(2);
    io.close(fd);
  });

  test("keep the process alive when they were collected for all that the program knows", () => {
    const { code, out } = runNode(`
      import { createLinuxIo } from "@vfmig/linux";
      const fd = createLinuxIo().eventfd();
      createLinuxIo().watch(fd, () => { console.log("woken"); process.exit(7); });
      setTimeout(() => { gc(); setTimeout(() => { gc(); createLinuxIo().signalEventfd(fd); }, 10).unref(); }, 10);
      setTimeout(() => process.exit(8), 5000).unref();
    `);
    expect({ code, out }).toEqual({ code: 7, out: "woken\n" });
  });

  test("let the process end once they are disposed", () => {
    const { code, out } = runNode(`
      import { createLinuxIo } from "@vfmig/linux";
      const io = createLinuxIo();
      const watch = io.watch(io.eventfd(), () => {});
      setTimeout(() => { watch[Symbol.dispose](); console.log("disposed"); }, 5);
    `);
    expect({ code, out }).toEqual({ code: 0, out: "disposed\n" });
  });

  test("of a bad descriptor, a file or /dev/null throw, where koffi would end the process", () => {
    const before = countOpenFds();
    const io = createLinuxIo();
    const file = openSync(import.meta.filename, "r");
    const device = openSync("/dev/null", "r");
    expect(failure(() => io.watch(123_456, () => {}))).toBe("EBADF");
    expect(failure(() => io.watch(file, () => {}))).toBe("EPERM");
    expect(failure(() => io.watch(device, () => {}))).toBe("EPERM");
    closeSync(file);
    closeSync(device);
    expect(countOpenFds()).toBe(before);
  });

  test("of what the event loop of Node polls already work beside it", () => {
    const { code, out, err } = runNode(`
      import { spawn } from "node:child_process";
      import { createLinuxIo } from "@vfmig/linux";
      const io = createLinuxIo();
      const child = spawn("sh", ["-c", "read x"], { stdio: ["pipe", "ignore", "ignore"] });
      child.stdin.on("error", () => {});
      const fd = child.stdin._handle.fd;
      const watch = io.watch(fd, () => { watch[Symbol.dispose](); console.log("woken"); });
      child.stdin.write("x\\n");
    `);
    expect({ code, out, err }).toEqual({ code: 0, out: "woken\n", err: "" });
  });

  test("whose callback throws reach uncaughtException with that error, once", () => {
    const { code, out } = runNode(`
      import { createLinuxIo } from "@vfmig/linux";
      const io = createLinuxIo();
      const fd = io.eventfd();
      process.on("uncaughtException", (error) => console.log("uncaught", error.message));
      io.watch(fd, () => { throw new Error("broken callback"); });
      io.signalEventfd(fd);
    `);
    expect({ code, out }).toEqual({ code: 0, out: "uncaught broken callback\n" });
  });

  test("go on in the same turn with what their callback awaits", () => {
    const { out } = runNode(`
      import { createLinuxIo } from "@vfmig/linux";
      const io = createLinuxIo();
      const fd = io.eventfd();
      const watch = io.watch(fd, async () => {
        io.drainEventfd(fd);
        await null;
        console.log("awaited");
        watch[Symbol.dispose]();
      });
      io.signalEventfd(fd);
    `);
    expect(out).toBe("awaited\n");
  });

  test("leave a worker free to be terminated, also when no other thread has native code", () => {
    const { out, err, signal } = runNode(`
      import { Worker } from "node:worker_threads";
      const worker = new Worker(\`
        import { parentPort } from "node:worker_threads";
        import { createLinuxIo } from "@vfmig/linux";
        const io = createLinuxIo();
        const [fd] = io.socketPair();
        io.watch(fd, () => {});
        io.receive(fd, new Uint8Array(8), 0, 8, []);
        parentPort.postMessage("watching");
      \`, { eval: true });
      worker.on("message", async (message) => console.log(message, await worker.terminate()));
    `);
    expect({ out, err, signal }).toEqual({ out: "watching 1\n", err: "", signal: null });
  });
});
