import { VfmigError, type DmaMapping, type RemoteMemory } from "@vfmig/core";
import { describe, expect, it } from "vitest";
import { Harness } from "../testing/harness.ts";
import { ManualClock } from "../testing/manual-clock.ts";
import { join, message, u32, u64, type RawPeer, type RawReply } from "../testing/raw-peer.ts";
import { dmaMap, dmaUnmap, errno, regionRead } from "../testing/requests.ts";
import { TEST_IOS } from "../testing/test-io.ts";

const PAGE = 4096;
const CAPABILITIES = '{"capabilities":{"max_msg_fds":8,"max_data_xfer_size":4096,"pgsizes":4096}}';

async function code(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (error) {
    return VfmigError.is(error) ? error.code : String(error);
  }
  return "none";
}

/** A raw client whose DMA messages a test answers, after a mapping of `pages` pages without fd. */
async function mapped(
  all: Harness,
  pages: number,
  flags = 3,
): Promise<{ peer: RawPeer; asked: RawReply[]; memory: RemoteMemory; mapping: DmaMapping }> {
  const peer = all.connect();
  await peer.negotiate(CAPABILITIES);
  const asked: RawReply[] = [];
  peer.onMessage = (request) => asked.push(request);
  peer.command(1, 2, dmaMap(0x10_0000, pages * PAGE, 0, flags));
  expect(await errno(peer, 1)).toBe(0);
  const mapping = all.device.mappings.get(0x10_0000n);
  if (mapping?.remote === undefined) throw new Error("the device got no remote memory");
  return { peer, asked, memory: mapping.remote, mapping };
}

/** Lets messages travel: a round trip of the client, behind which everything sent before has come. */
async function roundTrip(peer: RawPeer): Promise<void> {
  peer.command(0x4000, 9, regionRead(0, 1));
  await peer.reply(0x4000);
}

function readReply({ id, payload }: RawReply, data: Uint8Array): Uint8Array {
  return message(id, 11, join(payload.subarray(0, 16), data), 1);
}

describe.each(TEST_IOS)("memory of a client without fd $name", (testIo) => {
  it("is read and written by messages as the specification has them", async () => {
    await using all = Harness.of(testIo);
    const { peer, asked, memory } = await mapped(all, 1);
    const into = new Uint8Array(5);
    const reading = memory.read(0x10_0010n, into);
    const writing = memory.write(0x10_0100n, Uint8Array.of(9, 8, 7));
    await roundTrip(peer);
    expect(asked.map(({ command, payload, flags }) => [command, flags, payload])).toEqual([
      [11, 0, u64(0x10_0010, 5)],
      [12, 0, join(u64(0x10_0100, 3), Uint8Array.of(9, 8, 7))],
    ]);
    const [read, write] = asked;
    if (read === undefined || write === undefined) throw new Error("unreachable");
    expect(read.id).not.toBe(write.id);
    // In the other order: replies are matched by id.
    peer.send(message(write.id, 12, write.payload.subarray(0, 16), 1));
    await writing;
    peer.send(readReply(read, Uint8Array.of(1, 2, 3, 4, 5)));
    await reading;
    expect([...into]).toEqual([1, 2, 3, 4, 5]);
    peer.close();
  });

  it.each([0, 12, 16])("takes a reply to a write with %i bytes of payload", async (bytes) => {
    await using all = Harness.of(testIo);
    const { peer, asked, memory } = await mapped(all, 1);
    const writing = memory.write(0x10_0000n, Uint8Array.of(1));
    await roundTrip(peer);
    peer.send(message(asked[0]?.id ?? 0, 12, new Uint8Array(bytes), 1));
    expect(await code(writing)).toBe("none");
    peer.close();
  });

  it("is asked for in pieces of the client's limit, several at a time", async () => {
    await using all = Harness.of(testIo);
    const { peer, asked, memory } = await mapped(all, 4);
    const data = Uint8Array.from({ length: 3 * PAGE + 10 }, (_, i) => i % 255);
    const writing = memory.write(0x10_0001n, data);
    await roundTrip(peer);
    expect(asked.map(({ payload }) => payload.length - 16)).toEqual([PAGE, PAGE, PAGE, 10]);
    const written = join(...asked.map(({ payload }) => payload.subarray(16)));
    expect(written).toEqual(data);
    for (const { id } of asked) peer.send(message(id, 12, undefined, 1));
    await writing;
    asked.length = 0;
    const into = new Uint8Array(PAGE + 1);
    const reading = memory.read(0x10_0000n, into);
    await roundTrip(peer);
    for (const request of asked.toReversed()) {
      const count = request.payload[8] === 1 ? 1 : PAGE;
      peer.send(readReply(request, new Uint8Array(count).fill(count & 0xff || 7)));
    }
    await reading;
    expect([into[0], into[PAGE - 1], into[PAGE]]).toEqual([7, 7, 1]);
    peer.close();
  });

  it.each([
    ["an error", (id: number) => message(id, 11, undefined, 0x21), "ERR_VFMIG_VFIO_USER_REMOTE"],
    ["too few data", (id: number) => message(id, 11, u64(0, 4), 1), "ERR_VFMIG_VFIO_USER_PROTOCOL"],
    ["nothing", (id: number) => message(id, 11, undefined, 1), "ERR_VFMIG_VFIO_USER_PROTOCOL"],
    [
      "another count",
      (id: number) => message(id, 11, join(u64(0, 5), u32(0)), 1),
      "ERR_VFMIG_VFIO_USER_PROTOCOL",
    ],
    [
      "another command",
      (id: number) => message(id, 12, join(u64(0, 4), u32(0)), 1),
      "ERR_VFMIG_VFIO_USER_PROTOCOL",
    ],
  ])("fails a read that is answered by %s, and goes on", async (_name, reply, expected) => {
    await using all = Harness.of(testIo);
    const { peer, asked, memory } = await mapped(all, 1);
    const reading = code(memory.read(0x10_0000n, new Uint8Array(4)));
    await roundTrip(peer);
    peer.send(reply(asked[0]?.id ?? 0));
    expect(await reading).toBe(expected);
    await roundTrip(peer);
    peer.close();
  });

  it("is out of reach outside the mapping, against its direction and once unmapped", async () => {
    await using all = Harness.of(testIo);
    const { peer, asked, memory } = await mapped(all, 1, 1);
    const address = "ERR_VFMIG_GUEST_ADDRESS";
    expect(await code(memory.read(0xf_ffffn, new Uint8Array(4)))).toBe(address);
    expect(await code(memory.read(0x10_0ffdn, new Uint8Array(4)))).toBe(address);
    expect(await code(memory.write(0x10_0000n, new Uint8Array(4)))).toBe(address);
    peer.command(2, 3, dmaUnmap(0x10_0000, PAGE));
    expect(await errno(peer, 2)).toBe(0);
    expect(await code(memory.read(0x10_0000n, new Uint8Array(4)))).toBe(address);
    expect(asked).toEqual([]);
    peer.close();
  });

  it("fails what the client does not answer in time, and drops its late reply", async () => {
    const clock = new ManualClock();
    await using all = Harness.of(testIo, { clock, dmaTimeoutMs: 1000 });
    const { peer, asked, memory } = await mapped(all, 1);
    const into = new Uint8Array(4);
    const reading = code(memory.read(0x10_0000n, into));
    await roundTrip(peer);
    clock.advance(1000);
    expect(await reading).toBe("ERR_VFMIG_VFIO_USER_TIMEOUT");
    if (asked[0] !== undefined) peer.send(readReply(asked[0], u32(7)));
    const again = memory.read(0x10_0000n, into);
    await roundTrip(peer);
    expect(asked[1]?.id).not.toBe(asked[0]?.id);
    if (asked[1] !== undefined) peer.send(readReply(asked[1], u32(8)));
    await again;
    expect(into).toEqual(u32(8));
    peer.close();
  });

  it("fails what waits when the client goes, sent or not", async () => {
    await using all = Harness.of(testIo);
    const { peer, memory } = await mapped(all, 1024);
    const calls = Array.from({ length: 100 }, () =>
      code(memory.read(0x10_0000n, new Uint8Array(4))),
    );
    await roundTrip(peer);
    peer.close();
    expect(new Set(await Promise.all(calls))).toEqual(new Set(["ERR_VFMIG_VFIO_USER_CLOSED"]));
    await all.clientsGone(1);
    expect(await code(memory.read(0x10_0000n, new Uint8Array(4)))).toMatch(/^ERR_VFMIG_/);
  });

  it("sends no more at a time than a client can be expected to hold", async () => {
    await using all = Harness.of(testIo);
    const { peer, asked, memory } = await mapped(all, 1024);
    const writing = Array.from({ length: 200 }, () => memory.write(0x10_0000n, new Uint8Array(1)));
    await roundTrip(peer);
    expect(asked).toHaveLength(64);
    peer.onMessage = ({ id }) => peer.send(message(id, 12, undefined, 1));
    for (const { id } of asked) peer.send(message(id, 12, undefined, 1));
    await Promise.all(writing);
    peer.close();
  });

  it("is answered for although many commands wait for the device", async () => {
    await using all = Harness.of(testIo);
    const { peer, asked, memory } = await mapped(all, 1);
    // The device holds up every mapping until its read is answered.
    const into = new Uint8Array(4);
    const reading = memory.read(0x10_0000n, into);
    all.device.unmapGate = { wait: () => reading } as never;
    peer.command(2, 3, dmaUnmap(0x10_0000, PAGE));
    for (let id = 10; id < 610; id += 1) {
      peer.command(id, 3, dmaUnmap(0x20_0000, PAGE));
      if (id % 50 === 0) await roundTrip(peer);
    }
    await roundTrip(peer);
    if (asked[0] !== undefined) peer.send(readReply(asked[0], u32(5)));
    expect(await errno(peer, 2)).toBe(0);
    expect(into).toEqual(u32(5));
    expect(await errno(peer, 609)).toBe(2);
    peer.close();
  });

  it("moves the data of DMA messages for QEMU up to 10.2, where it is told to", async () => {
    await using all = Harness.of(testIo, { clientQuirks: ["qemu-10.2-dma"] });
    const { peer, asked, memory } = await mapped(all, 1);
    const into = new Uint8Array(6);
    const reading = memory.read(0x10_0000n, into);
    const writing = memory.write(0x10_0000n, Uint8Array.of(1, 2, 3, 4, 5, 6));
    await roundTrip(peer);
    const [read, write] = asked;
    expect(read?.payload).toEqual(u64(0x10_0000, 6));
    expect(write?.payload).toEqual(
      join(u64(0x10_0000), u32(6), Uint8Array.of(1, 2, 3, 4, 5, 6, 0, 0, 0, 0)),
    );
    peer.send(message(write?.id ?? 0, 12, undefined, 1));
    const early = join(u64(0x10_0000), u32(6), Uint8Array.of(9, 8, 7, 6, 5, 4), u32(0xdead));
    peer.send(message(read?.id ?? 0, 11, early, 1));
    await Promise.all([reading, writing]);
    expect([...into]).toEqual([9, 8, 7, 6, 5, 4]);
    peer.close();
  });

  it("names the option where a client answers as QEMU up to 10.2 does", async () => {
    await using all = Harness.of(testIo);
    const { peer, asked, memory } = await mapped(all, 1);
    const reading = memory.read(0x10_0000n, new Uint8Array(6));
    await roundTrip(peer);
    const early = join(u64(0x10_0000), u32(6), Uint8Array.of(9, 8, 7, 6, 5, 4), u32(0xdead));
    peer.send(message(asked[0]?.id ?? 0, 11, early, 1));
    await expect(reading).rejects.toThrow('clientQuirks: ["qemu-10.2-dma"]');
    peer.close();
  });
});
