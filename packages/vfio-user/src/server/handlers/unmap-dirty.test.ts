import { connectVfioUser } from "../../client/client.ts";
import { Harness } from "../../testing/harness.ts";
import { REGISTER } from "../../testing/memory-device.ts";
import { join, u32, u64, type RawPeer } from "../../testing/raw-peer.ts";
import { dmaMap, dmaUnmap, EINVAL, errno, regionWrite, SET } from "../../testing/requests.ts";
import { TEST_IOS } from "../../testing/test-io.ts";
import { VfmigError } from "@vfmig/core";
import { describe, expect, it } from "vitest";

const PAGE = 4096;

function unmapDirty(iova: number, size: number, pageSize: number, bytes: number): Uint8Array {
  return join(u32(40 + bytes, 1), u64(iova, size, pageSize, bytes));
}

/** Maps 128 pages at 0x10000 and starts the log. */
async function logged(all: Harness): Promise<RawPeer> {
  const peer = await all.negotiated();
  const fd = all.io.memfd("guest", 128 * PAGE);
  peer.command(1, 2, dmaMap(0x1_0000, 128 * PAGE), { fds: [fd] });
  expect(await errno(peer, 1)).toBe(0);
  all.io.close(fd);
  peer.command(2, 16, join(u32(24, 6 | SET), u64(PAGE), u32(0, 0)));
  expect(await errno(peer, 2)).toBe(0);
  return peer;
}

async function store(peer: RawPeer, address: number): Promise<void> {
  peer.command(3, 10, regionWrite(REGISTER.STORE, u32(address)));
  expect(await errno(peer, 3)).toBe(0);
}

describe.each(TEST_IOS)("an unmapping that wants the dirty pages $name", (testIo) => {
  it("gets them, and reads them for the last time", async () => {
    await using all = Harness.of(testIo);
    const peer = await logged(all);
    await store(peer, 0x1_0000 + 5 * PAGE + 3);
    await store(peer, 0x1_0000 + 127 * PAGE);
    peer.command(4, 3, unmapDirty(0x1_0000, 128 * PAGE, PAGE, 16));
    const reply = await peer.reply(4);
    expect(reply.flags).toBe(1);
    expect(reply.payload).toEqual(
      join(unmapDirty(0x1_0000, 128 * PAGE, PAGE, 16), u64(1n << 5n, 1n << 63n)),
    );
    expect(all.device.mappings.size).toBe(0);
    peer.command(5, 3, unmapDirty(0x1_0000, 128 * PAGE, PAGE, 16));
    expect(await errno(peer, 5)).toBe(2);
    peer.close();
  });

  it("is told that all is dirty where the log fails after the range has gone", async () => {
    await using all = Harness.of(testIo);
    const peer = await logged(all);
    all.device.dmaLogging.report = async () => {
      throw new VfmigError("ERR_VFMIG_DMA_LOGGING_STATE", "broken", { layer: "testkit" });
    };
    peer.command(4, 3, unmapDirty(0x1_0000, 128 * PAGE, 2 * PAGE, 8));
    expect((await peer.reply(4)).payload.subarray(40)).toEqual(u64(0xffff_ffff_ffff_ffffn));
    peer.close();
  });

  it.each([
    ["all at once", join(u32(24, 3), u64(0, 0)), EINVAL],
    ["with an unknown flag", dmaUnmap(0x1_0000, 128 * PAGE, 4), EINVAL],
    ["without a bitmap", dmaUnmap(0x1_0000, 128 * PAGE, 1), EINVAL],
    ["with too short a bitmap", unmapDirty(0x1_0000, 128 * PAGE, PAGE, 8), EINVAL],
    ["with an odd page size", unmapDirty(0x1_0000, 128 * PAGE, 5000, 16), EINVAL],
    ["with a page size of 0", unmapDirty(0x1_0000, 128 * PAGE, 0, 16), EINVAL],
    [
      "with too little room for the reply",
      join(u32(55, 1), u64(0x1_0000, 128 * PAGE, PAGE, 16)),
      EINVAL,
    ],
    ["of a huge range", unmapDirty(0, 2 ** 52, PAGE, 2 ** 37), EINVAL],
    ["of part of a mapping", unmapDirty(0x1_0000, PAGE, PAGE, 8), 2],
  ])("is refused %s, and nothing is unmapped", async (_name, payload, expected) => {
    await using all = Harness.of(testIo);
    const peer = await logged(all);
    peer.command(4, 3, payload);
    expect(await errno(peer, 4)).toBe(expected);
    expect(all.device.mappings.size).toBe(1);
    peer.close();
  });

  it("is refused while no log runs", async () => {
    await using all = Harness.of(testIo);
    const peer = await logged(all);
    peer.command(4, 16, u32(8, 7 | SET));
    expect(await errno(peer, 4)).toBe(0);
    peer.command(5, 3, unmapDirty(0x1_0000, 128 * PAGE, PAGE, 16));
    expect(await errno(peer, 5)).toBe(EINVAL);
    expect(all.device.mappings.size).toBe(1);
    peer.close();
  });

  it("comes from the client too", async () => {
    await using all = Harness.of(testIo);
    await using client = await connectVfioUser({ io: all.io, path: all.path });
    const range = { iova: 0x1_0000n, size: BigInt(9 * PAGE) };
    const memory = { bytes: new Uint8Array(9 * PAGE) };
    await client.mapDma({ ...range, read: true, write: true, memory });
    await client.dmaLogging?.start({ pageSize: PAGE, ranges: [] });
    all.device.dmaLogging.dirty.add(0x10 + 8);
    const bits = Uint8Array.of(4, 0);
    await expect(
      client.unmapDma(range, { dirty: { pageSize: PAGE, bits: new Uint8Array(1) } }),
    ).rejects.toMatchObject({ code: "ERR_VFMIG_DMA_LOGGING_REQUEST" });
    await client.unmapDma(range, { dirty: { pageSize: PAGE, bits } });
    expect([...bits]).toEqual([4, 1]);
    expect(all.device.mappings.size).toBe(0);
  });
});
