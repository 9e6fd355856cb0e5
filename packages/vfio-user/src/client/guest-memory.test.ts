import type { DmaMapping, RemoteMemory } from "@vfmig/core";
import { describe, expect, it } from "vitest";
import { Harness } from "../testing/harness.ts";
import { RawPeer, join, message, u64, versionPayload, u32 } from "../testing/raw-peer.ts";
import { TEST_IOS } from "../testing/test-io.ts";
import { createFakeIo } from "@vfmig/linux/fake";
import { connectVfioUser } from "./client.ts";

const PAGE = 4096;

function mappingOf(iova: number, bytes: Uint8Array, more: Partial<DmaMapping> = {}): DmaMapping {
  return {
    iova: BigInt(iova),
    size: BigInt(bytes.length),
    read: true,
    write: true,
    memory: { bytes },
    ...more,
  };
}

function remoteOf(all: Harness, iova: bigint): RemoteMemory {
  const remote = all.device.mappings.get(iova)?.remote;
  if (remote === undefined) throw new Error("the device got no remote memory");
  return remote;
}

describe.each(TEST_IOS)("guest memory that a client keeps to itself $name", (testIo) => {
  it.each([{ twinSocket: false }, { twinSocket: true }])(
    "is reached by the device over messages, %o",
    async (options) => {
      await using all = Harness.of(testIo);
      const before = all.openFds();
      const client = await connectVfioUser({ io: all.io, path: all.path, ...options });
      const bytes = new Uint8Array(2 * PAGE);
      await client.mapDma(mappingOf(0x8000, bytes));
      const remote = remoteOf(all, 0x8000n);
      await remote.write(
        0x8ff8n,
        Uint8Array.from({ length: 16 }, (_, i) => i + 1),
      );
      expect(bytes[0xff8]).toBe(1);
      expect(bytes[PAGE + 7]).toBe(16);
      const into = new Uint8Array(3);
      await remote.read(0x9000n, into);
      expect([...into]).toEqual([9, 10, 11]);
      await client.close();
      await all.clientsGone(1);
      expect(all.openFds()).toBe(before);
    },
  );

  it("may have an fd that is not sent", async () => {
    await using all = Harness.of(testIo);
    await using client = await connectVfioUser({ io: all.io, path: all.path });
    const fd = all.io.memfd("guest", PAGE);
    using memory = all.io.mmap(fd, PAGE);
    all.io.close(fd);
    await client.mapDma(mappingOf(0, memory.bytes, { memory }), { sendFd: false });
    await remoteOf(all, 0n).write(5n, Uint8Array.of(42));
    expect(memory.bytes[5]).toBe(42);
    await client.unmapAllDma();
  });

  it("moves data larger than a message in pieces", async () => {
    await using all = Harness.of(testIo);
    await using client = await connectVfioUser({
      io: all.io,
      path: all.path,
      maxDataTransferSize: 8192,
    });
    const bytes = Uint8Array.from({ length: 25 * PAGE }, (_, i) => i % 253);
    await client.mapDma(mappingOf(0, bytes));
    const into = new Uint8Array(24 * PAGE + 5);
    await remoteOf(all, 0n).read(3n, into);
    expect(into).toEqual(bytes.subarray(3, 24 * PAGE + 8));
  });

  it("may be elsewhere again, and is then asked for there", async () => {
    await using all = Harness.of(testIo);
    await using client = await connectVfioUser({ io: all.io, path: all.path });
    const page = new Uint8Array(PAGE);
    const remote: RemoteMemory = {
      read: async (iova, into) => into.set(page.subarray(Number(iova), Number(iova) + into.length)),
      write: async (iova, from) => page.set(from, Number(iova)),
    };
    await client.mapDma(mappingOf(0, page, { memory: undefined, remote }));
    const far = remoteOf(all, 0n);
    await Promise.all([far.write(1n, Uint8Array.of(7)), far.write(2n, Uint8Array.of(8))]);
    expect([page[1], page[2]]).toEqual([7, 8]);
    const [a, b] = [new Uint8Array(1), new Uint8Array(1)];
    await Promise.all([far.read(1n, a), far.read(2n, b)]);
    expect([a[0], b[0]]).toEqual([7, 8]);
  });

  it("serves the device while a call of the client waits for that very device", async () => {
    await using all = Harness.of(testIo);
    await using client = await connectVfioUser({ io: all.io, path: all.path });
    const bytes = new Uint8Array(PAGE);
    await client.mapDma(mappingOf(0, bytes));
    const remote = remoteOf(all, 0n);
    all.device.unmapGate = { wait: () => remote.write(0n, Uint8Array.of(3)) } as never;
    await client.unmapDma({ iova: 0n, size: BigInt(PAGE) });
    expect(bytes[0]).toBe(3);
  });

  it("keeps to what the server allows", async () => {
    await using all = Harness.of(testIo, { maxDmaMaps: 2 });
    await using client = await connectVfioUser({ io: all.io, path: all.path });
    const page = new Uint8Array(PAGE);
    await client.mapDma(mappingOf(0, page));
    await client.mapDma(mappingOf(PAGE, page));
    await expect(client.mapDma(mappingOf(2 * PAGE, page))).rejects.toMatchObject({
      code: "ERR_VFMIG_DMA_MAP",
      details: { errno: "ENOSPC" },
    });
    await client.unmapDma({ iova: 0n, size: BigInt(PAGE) });
    await client.mapDma(mappingOf(2 * PAGE, page));
  });
});

describe("a client that a server asks for memory", () => {
  it.each([
    ["what is not mapped", 11, u64(0x5000, 4), 14],
    ["more than is mapped", 11, u64(0xffe, 4), 14],
    ["an address near 2^64", 11, u64(0xffff_ffff_ffff_fff0n, 4), 14],
    ["more than it said it takes", 11, u64(0, 1 << 30), 7],
    ["with a struct cut short", 11, u64(0), 22],
    ["with data behind a read", 11, u64(0, 4, 4), 22],
    ["a write into read-only memory", 12, join(u64(0x2000, 4), u32(1)), 14],
    ["a write with fewer data than it counts", 12, join(u64(0, 8), u32(1)), 22],
  ])("refuses %s", async (_name, command, payload, expected) => {
    const { peer, client, page } = await scripted();
    peer.send(message(0x500, command, payload));
    const reply = await peer.reply(0x500);
    expect([reply.flags, reply.errno, reply.payload.length]).toEqual([0x21, expected, 0]);
    expect(page.every((byte) => byte === 0)).toBe(true);
    await client.close();
    peer.close();
  });

  it("answers nothing where no reply is wanted", async () => {
    const { peer, client, page } = await scripted();
    peer.send(message(0x500, 12, join(u64(8, 4), u32(0xffff_ffff)), 0x10));
    peer.send(message(0x501, 11, u64(0, 16)));
    const reply = await peer.reply(0x501);
    expect(reply.payload).toEqual(join(u64(0, 16), page.subarray(0, 16)));
    expect(page[9]).toBe(0xff);
    expect(peer.replies).toEqual([]);
    await client.close();
    peer.close();
  });
});

/** A client with a page at 0 and a read-only one at 0x2000, and the raw server that it talks to. */
async function scripted(): Promise<{
  peer: RawPeer;
  client: Awaited<ReturnType<typeof connectVfioUser>>;
  page: Uint8Array;
}> {
  const io = createFakeIo();
  const [ours, theirs] = io.socketPair();
  const peer = new RawPeer(io, theirs);
  peer.onMessage = ({ id, command }) => {
    if (command === 1) peer.send(message(id, 1, versionPayload(0, 1, "{}"), 1));
    else if (command === 4) peer.send(message(id, 4, u32(16, 0, 0, 0), 1));
    else peer.send(message(id, command, undefined, command === 2 ? 1 : 0x21));
  };
  const client = await connectVfioUser({ io, fd: ours });
  const page = new Uint8Array(PAGE);
  await client.mapDma(mappingOf(0, page));
  await client.mapDma(mappingOf(0x2000, new Uint8Array(PAGE), { write: false }));
  return { peer, client, page };
}
