import { rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { heapPerCall } from "../testing/garbage.ts";
import { countOpenFds } from "../testing/native-io-rig.ts";
import { runNode } from "../testing/run-node.ts";
import { createLinuxIo } from "./linux-io.ts";

test("a datagram is sent to a path, received, refused and missed without allocating", () => {
  const io = createLinuxIo();
  const path = join(tmpdir(), `vfmig-${randomUUID()}.sock`);
  const fd = io.datagramSocket(path);
  const message = new Uint8Array(64);
  const memory = new Uint8Array(4096);
  const nowhere = io.datagramSocket();
  const exchange = (): void => {
    io.sendDatagram(fd, message, 8, 32, path);
    io.receiveDatagram(fd, memory, 8, 2048);
    io.receiveDatagram(fd, memory, 8, 2048);
    io.sendDatagram(nowhere, message, 0, 32);
  };
  expect(heapPerCall(exchange)).toBeLessThan(2);
  io.close(fd);
  io.close(nowhere);
  rmSync(path);
});

test("descriptors that a datagram carries are closed, not leaked", () => {
  const io = createLinuxIo();
  const path = join(tmpdir(), `vfmig-${randomUUID()}.sock`);
  const fd = io.datagramSocket(path);
  const sender = io.datagramSocket();
  io.connectDatagram(sender, path);
  const before = countOpenFds();
  io.send(sender, new Uint8Array(20), 0, 20, [fd, fd, sender]);
  expect(io.receiveDatagram(fd, new Uint8Array(64), 0, 64)).toBe(20);
  expect(countOpenFds()).toBe(before);
  io.close(sender);
  io.close(fd);
  rmSync(path);
});

test("a datagram to a peer that is gone raises no signal", () => {
  const path = join(tmpdir(), `vfmig-${randomUUID()}.sock`);
  const { code, signal, out } = runNode(`
    import { createLinuxIo } from "@vfmig/linux";
    const io = createLinuxIo();
    const peer = io.datagramSocket(${JSON.stringify(path)});
    const fd = io.datagramSocket();
    io.connectDatagram(fd, ${JSON.stringify(path)});
    io.close(peer);
    const bytes = new Uint8Array(20);
    console.log(io.sendDatagram(fd, bytes, 0, 20), io.sendDatagram(fd, bytes, 0, 20));
  `);
  rmSync(path);
  expect({ code, signal, out }).toEqual({ code: 0, signal: null, out: "-2 -2\n" });
});
