import { describe, expect, it } from "vitest";
import { Harness } from "../testing/harness.ts";
import { BAR_BYTES, REGISTER } from "../testing/memory-device.ts";
import { join, u32, u64, type RawPeer } from "../testing/raw-peer.ts";
import {
  dmaMap,
  errno,
  GET,
  PROBE,
  regionRead,
  regionWrite,
  SET,
  setState,
} from "../testing/requests.ts";
import { TEST_IOS } from "../testing/test-io.ts";

const RANGE = [0x1000, 0x8000] as const;

/** Requests of each kind whose answer has more than a header; in order, and the same at each run. */
const REQUESTS: readonly (readonly [command: number, payload: Uint8Array])[] = [
  [4, u32(24, 0, 0, 0)],
  ...[0, 1, 2, 7, 8].flatMap((index) =>
    [32, 4096].map((argsz) => [5, join(u32(argsz, 0, index, 0), u64(0, 0))] as const),
  ),
  ...[0, 1, 2, 3, 4].map((index) => [7, u32(16, 0, index, 0)] as const),
  [16, u32(8, 7 | SET | PROBE)],
  [16, u32(16, 1 | GET)],
  [16, u32(16, 2 | GET)],
  [16, u32(16, 9 | GET)],
  [9, regionRead(0, 4)],
  [9, regionRead(16, 100)],
  [10, regionWrite(0, new Uint8Array(4))],
  [16, join(u32(40, 6 | SET), u64(4096), u32(1, 0), u64(...RANGE))],
  [10, regionWrite(REGISTER.STORE, u32(0x3000))],
  [16, join(u32(40, 8 | GET), u64(...RANGE, 4096), u64(0))],
  [16, u32(8, 7 | SET)],
  [19, u32(24, 0, 0, 0, 0, 0)],
  [16, setState(3)],
  [17, join(u32(8 + BAR_BYTES, BAR_BYTES), new Uint8Array(BAR_BYTES))],
  [17, join(u32(3008, 3000), new Uint8Array(3000))],
  [16, setState(2)],
];

async function answers(peer: RawPeer): Promise<string[]> {
  const found: string[] = [];
  for (const [id, [command, payload]] of REQUESTS.entries()) {
    peer.command(id, command, payload);
    const { errno: failed, payload: reply } = await peer.reply(id);
    found.push(`${command}: ${failed} ${Buffer.from(reply).toString("hex")}`);
  }
  return found;
}

describe.each(TEST_IOS)("the answers of a vfio-user server $name", (testIo) => {
  it("hold nothing of what was sent or received before them", async () => {
    await using all = Harness.of(testIo);
    const peer = await all.negotiated();
    const memory = all.io.memfd("guest", 0x8000);
    peer.command(0x100, 2, dmaMap(0x1000, 0x8000), { fds: [memory] });
    expect(await errno(peer, 0x100)).toBe(0);
    all.io.close(memory);
    const first = await answers(peer);
    expect(first.filter((answer) => !/^\d+: 0 /.test(answer))).toEqual([]);
    for (const fill of [0xa5, 0x5a]) {
      all.device.bar.fill(fill);
      for (const count of [4, 100, BAR_BYTES]) {
        peer.command(0x101, 9, regionRead(0, count));
        expect((await peer.reply(0x101)).payload.at(-1)).toBe(fill);
        peer.command(0x102, 10, regionWrite(0x200, new Uint8Array(0x1000).fill(fill)));
        expect(await errno(peer, 0x102)).toBe(0);
      }
      all.device.bar.fill(0);
      expect(await answers(peer)).toEqual(first);
    }
    peer.close();
  });
});

describe.each(TEST_IOS)("the end of a device's state $name", (testIo) => {
  it("is padded with zeros, not with the state that was read before", async () => {
    await using all = Harness.of(testIo);
    const peer = await all.negotiated();
    all.device.bar.fill(0xa5);
    peer.command(1, 16, setState(3));
    peer.command(2, 17, u32(8 + BAR_BYTES, BAR_BYTES));
    peer.command(3, 17, u32(3008, 3000));
    expect((await peer.reply(1)).errno).toBe(0);
    expect((await peer.reply(2)).payload.at(-1)).toBe(0xa5);
    expect((await peer.reply(3)).payload).toEqual(join(u32(8, 0), new Uint8Array(3000)));
    peer.close();
  });
});

describe.each(TEST_IOS)("the numbers of states $name", (testIo) => {
  it.each([8, 9, 0x8000_0000, 0xffff_ffff])(
    "beyond the last, as %i, are refused and change nothing",
    async (state) => {
      await using all = Harness.of(testIo);
      const peer = await all.negotiated();
      peer.command(1, 16, setState(1));
      peer.command(2, 16, setState(state));
      peer.command(3, 16, u32(16, 2 | GET));
      expect([await errno(peer, 1), await errno(peer, 2)]).toEqual([0, 22]);
      expect((await peer.reply(3)).payload.subarray(8, 12)).toEqual(u32(1));
      expect(all.device.migration.walked).toEqual(["stop"]);
      peer.close();
    },
  );
});
