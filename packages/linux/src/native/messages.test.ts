import { expect, test } from "vitest";
import { heapPerCall } from "../testing/garbage.ts";
import { runNode } from "../testing/run-node.ts";
import { createLinuxIo } from "./linux-io.ts";

test("a message is sent and received without allocating", () => {
  const io = createLinuxIo();
  const [one, other] = io.socketPair();
  const message = new Uint8Array(64);
  const memory = new Uint8Array(1 << 16);
  const fds: number[] = [];
  const exchange = (): void => {
    io.send(one, message, 8, 32, fds);
    io.receive(other, memory, 4096, 4096, fds);
    io.receive(other, memory, 4096, 4096, fds);
  };
  expect(heapPerCall(exchange)).toBeLessThan(2);
  io.close(one);
  io.close(other);
});

test("descriptors that do not fit this process are an error, and those that did are closed", () => {
  const { out, err } = runNode(
    `
    import { readdirSync } from "node:fs";
    import { createLinuxIo } from "@vfmig/linux";
    const io = createLinuxIo();
    const [one, other] = io.socketPair();
    const own = io.eventfd();
    io.send(one, new Uint8Array(1), 0, 1, [own, own, own, own]);
    const filled = [];
    try { for (;;) filled.push(io.dup(own)); } catch (error) { console.log(error.details.errno); }
    io.close(filled.pop());
    io.close(filled.pop());
    const fds = [];
    let code;
    try { io.receive(other, new Uint8Array(8), 0, 8, fds); } catch (error) { code = [error.code, error.details.arrived]; }
    console.log(code, fds);
    for (let free = 0; ; free++) {
      try { io.dup(own); } catch { console.log(free); break; }
    }
    `,
    64,
  );
  expect(err).toBe("");
  expect(out).toBe("EMFILE\n[ 'ERR_VFMIG_FD_PASSING', 2 ] []\n2\n");
});

test("a message to a peer that is gone raises no signal", () => {
  const { out, signal } = runNode(`
    import { createLinuxIo } from "@vfmig/linux";
    const io = createLinuxIo();
    process.on("SIGPIPE", () => console.log("SIGPIPE"));
    const [one, other] = io.socketPair();
    io.close(other);
    try { io.send(one, new Uint8Array(1), 0, 1, []); } catch (error) { console.log(error.details.errno); }
    setTimeout(() => process.exit(), 20);
  `);
  expect({ out, signal }).toEqual({ out: "EPIPE\n", signal: null });
});
