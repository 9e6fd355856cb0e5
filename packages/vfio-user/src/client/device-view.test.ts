import { spawn, type ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join as joinPath } from "node:path";
import { fileURLToPath } from "node:url";
import { createLinuxIo } from "@vfmig/linux";
import { VfmigError } from "@vfmig/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { REGISTER } from "../testing/memory-device.ts";
import { join, message, RawPeer, u32, u64, versionPayload } from "../testing/raw-peer.ts";
import { connectVfioUser } from "./client.ts";

const SERVER = fileURLToPath(new URL("../testing/serve-memory-device.ts", import.meta.url));

function codeOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    return VfmigError.is(error) ? error.code : String(error);
  }
  return "none";
}

describe("the synchronous view of a device in another process", () => {
  const io = createLinuxIo();
  const path = joinPath(tmpdir(), `vfmig-${randomUUID()}.sock`);
  let server: ChildProcess;

  beforeEach(async () => {
    server = spawn(process.execPath, ["--conditions=@vfmig/source", SERVER, path], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    if (server.stdout !== null) await once(server.stdout, "data");
  });

  afterEach(async () => {
    if (server.exitCode !== null || server.signalCode !== null) return;
    server.stdin?.end();
    await once(server, "exit");
  });

  it("reads, writes, maps, and gets interrupts while asynchronous calls are under way", async () => {
    await using client = await connectVfioUser({ io, path });
    const { device } = client;
    const word = new Uint8Array(4);
    device.writeRegion(0, 16, u32(0xdead_beef));
    device.writeRegion(1, 32, u32(0x1111));
    device.readRegion(0, 16, word);
    expect(word).toEqual(u32(0xdead_beef));
    const bulk = Uint8Array.from({ length: 4000 }, (_, i) => i & 0xff);
    device.writeRegion(0, 4000, bulk);
    const back = new Uint8Array(4000);
    device.readRegion(0, 4000, back);
    expect(back).toEqual(bulk);

    const fd = io.memfd("guest", 8192);
    const event = io.eventfd();
    using memory = io.mmap(fd, 8192);
    await device.mapDma({ iova: 0x1000n, size: 8192n, read: true, write: true, memory });
    const events = [undefined, { fd: event, signal() {} }];
    device.setIrqs({
      index: 2,
      start: 0,
      count: 2,
      action: "trigger",
      data: { kind: "event", events },
    });
    const changed = client.migration?.setState("pre-copy");
    device.writeRegion(0, REGISTER.STORE, u32(0x2008));
    device.writeRegion(0, REGISTER.RAISE, Uint8Array.of(1));
    device.readRegion(0, 16, word);
    expect(memory.bytes[0x1008]).toBe(0xd0);
    expect(io.drainEventfd(event)).toBe(1);
    await changed;
    expect(device.migration?.state).toBe("pre-copy");
    await device.unmapDma({ iova: 0x1000n, size: 8192n });
    await device.reset();
    device.readRegion(0, 16, word);
    expect(word).toEqual(u32(0));
    io.close(fd);
    io.close(event);
  });

  it("keeps the order of many posted writes and the read behind them", async () => {
    await using client = await connectVfioUser({ io, path });
    const word = new Uint8Array(4);
    for (let n = 0; n < 20_000; n += 1) client.device.writeRegion(0, 64, u32(n));
    client.device.readRegion(0, 64, word);
    expect(word).toEqual(u32(19_999));
  });

  it("reports refusals where writes wait for their reply, and checks ranges itself", async () => {
    await using client = await connectVfioUser({ io, path, postedWrites: "never" });
    const { device } = client;
    expect(codeOf(() => device.readRegion(9, 0, new Uint8Array(1)))).toBe("ERR_VFMIG_REGION_INDEX");
    expect(codeOf(() => device.writeRegion(0, 8191, new Uint8Array(2)))).toBe(
      "ERR_VFMIG_REGION_RANGE",
    );
    expect(codeOf(() => device.readRegion(3, 0, new Uint8Array(0)))).toBe(
      "ERR_VFMIG_REGION_ACCESS",
    );
    const iova = { iova: 0x10n, size: 4096n };
    expect(codeOf(() => device.mapDma({ ...iova, read: true, write: true }))).toBe(
      "ERR_VFMIG_DMA_MAP",
    );
    device.writeRegion(0, 0, Uint8Array.of(1));
  });

  it.each([{ twinSocket: false }, { twinSocket: true }])(
    "answers the device's DMA messages while an access stands still, %o",
    async (options) => {
      await using client = await connectVfioUser({ io, path, ...options });
      const { device } = client;
      const bytes = new Uint8Array(4096);
      const range = { iova: 0x1000n, size: 4096n };
      await device.mapDma({ ...range, read: true, write: true, memory: { bytes } });
      device.writeRegion(0, REGISTER.STORE, u32(0x1008));
      // Not one turn of this thread's event loop passes in here.
      for (let i = 0; i < 10_000 && bytes[8] === 0; i += 1) {
        device.readRegion(0, 16, new Uint8Array(4));
      }
      expect(bytes[8]).toBe(0xd0);
      await device.unmapDma(range);
    },
  );

  it("fails the access and the waiting calls when the server is killed", async () => {
    const client = await connectVfioUser({ io, path });
    const { device } = client;
    const exit = once(server, "exit");
    server.kill("SIGKILL");
    let code = "none";
    // Nothing tells when the kernel has closed the socket, but each read ends in an answer or an error.
    while (code === "none") code = codeOf(() => device.readRegion(0, 0, new Uint8Array(4)));
    expect(code).toBe("ERR_VFMIG_VFIO_USER_CLOSED");
    expect(codeOf(() => device.writeRegion(0, 0, new Uint8Array(4)))).toBe(
      "ERR_VFMIG_VFIO_USER_CLOSED",
    );
    expect((await client.closed)?.code).toBe("ERR_VFMIG_VFIO_USER_CLOSED");
    await exit;
  });
});

describe("the synchronous view of a server that does not answer", () => {
  it("gives up after its limit, and takes the next answer for what it is", async () => {
    const io = createLinuxIo();
    const [ours, theirs] = io.socketPair();
    const peer = new RawPeer(io, theirs);
    peer.onMessage = ({ id, command }) => {
      if (command === 1) peer.send(message(id, 1, versionPayload(0, 0, "{}"), 1));
      else if (command === 4) peer.send(message(id, 4, u32(16, 0, 1, 0), 1));
      else if (command === 5) peer.send(message(id, 5, join(u32(32, 3, 0, 0), u64(4096, 0)), 1));
      else peer.send(message(id, command, undefined, 0x21));
    };
    await using client = await connectVfioUser({ io, fd: ours, syncTimeoutMs: 3 });
    const word = new Uint8Array(4);
    expect(codeOf(() => client.device.readRegion(0, 0, word))).toBe("ERR_VFMIG_VFIO_USER_TIMEOUT");
    const mapping = { iova: 0n, size: 4096n, read: true, write: true };
    expect(codeOf(() => client.device.mapDma(mapping))).toBe("ERR_VFMIG_VFIO_USER_TIMEOUT");
    // The late answers to both come now, and then one that is waited for.
    peer.onMessage = ({ id, command }) =>
      peer.send(message(id, command, join(u64(0), u32(0, 4), u32(command)), 1));
    await client.readRegion(0, 0, word);
    expect(word).toEqual(u32(9));
    peer.close();
  });
});
