import { connectVfioUser } from "../../client/client.ts";
import { Harness } from "../../testing/harness.ts";
import { BAR_BYTES } from "../../testing/memory-device.ts";
import { join, u32, u64 } from "../../testing/raw-peer.ts";
import { EINVAL, errno } from "../../testing/requests.ts";
import { TEST_IOS } from "../../testing/test-io.ts";
import { describe, expect, it } from "vitest";

function entry(offset: number, data: Uint8Array, region = 0, count = data.length): Uint8Array {
  return join(u64(offset), u32(region, count), data, new Uint8Array(8 - data.length));
}

describe.each(TEST_IOS)("many region writes in one message $name", (testIo) => {
  it("are done in their order where both sides agreed to it", async () => {
    await using all = Harness.of(testIo, { writeMultiple: true });
    const peer = all.connect();
    const reply = await peer.negotiate();
    expect(new TextDecoder().decode(reply.payload)).toContain('"write_multiple":true');
    peer.command(
      1,
      15,
      join(
        u64(3),
        entry(16, u32(1)),
        entry(16, Uint8Array.of(9)),
        entry(24, u64(0x0102_0304_0506_0708n)),
      ),
    );
    expect((await peer.reply(1)).payload).toEqual(u64(3));
    expect([...all.device.bar.subarray(16, 32)]).toEqual([
      9, 0, 0, 0, 0, 0, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1,
    ]);
    peer.close();
  });

  it.each([
    ["with a count that is not theirs", join(u64(2), entry(16, u32(1)))],
    ["with a count of 2^63", join(u64(1n << 63n), entry(16, u32(1)))],
    ["cut short", join(u64(1), entry(16, u32(1)).subarray(0, 20))],
    ["without a count", new Uint8Array(4)],
    ["of nine bytes each", join(u64(1), entry(16, u64(0), 0, 9))],
    ["beyond the region", join(u64(2), entry(16, u32(7)), entry(BAR_BYTES - 2, u32(1)))],
    ["of another region", join(u64(2), entry(16, u32(7)), entry(0, u32(1), 77))],
  ])("are refused as a whole %s", async (_name, payload) => {
    await using all = Harness.of(testIo, { writeMultiple: true });
    const peer = await all.negotiated();
    peer.command(1, 15, payload);
    expect(await errno(peer, 1)).toBe(EINVAL);
    expect(all.device.bar.every((byte) => byte === 0)).toBe(true);
    peer.close();
  });

  it("are refused where they were not agreed upon", async () => {
    await using all = Harness.of(testIo);
    const peer = await all.negotiated();
    peer.command(1, 15, join(u64(1), entry(16, u32(1))));
    expect(await errno(peer, 1)).toBe(95);
    peer.close();
  });

  it.each([true, false])("come from the client too, agreed upon: %s", async (writeMultiple) => {
    await using all = Harness.of(testIo, { writeMultiple });
    await using client = await connectVfioUser({ io: all.io, path: all.path });
    const writes = Array.from({ length: 600 }, (_, i) => ({
      index: 0,
      offset: 0x400 + i * 8,
      data: Uint8Array.of(i & 0xff, i >> 8, 1),
    }));
    await client.writeRegions(writes);
    for (const { offset, data } of writes) {
      expect(all.device.bar.subarray(offset, offset + 3)).toEqual(data);
    }
    const wrong = { index: 0, offset: BAR_BYTES, data: Uint8Array.of(1) };
    await expect(client.writeRegions([wrong])).rejects.toMatchObject({
      code: "ERR_VFMIG_REGION_RANGE",
    });
    await expect(
      client.writeRegions([{ index: 0, offset: 0, data: new Uint8Array(9) }]),
    ).rejects.toMatchObject({ code: "ERR_VFMIG_REGION_ACCESS" });
  });
});
