import { describe, expect, it } from "vitest";
import { Harness } from "../testing/harness.ts";
import { Gate } from "../testing/memory-device.ts";
import { join, message, u32, u64, type RawPeer } from "../testing/raw-peer.ts";
import { TEST_IOS } from "../testing/test-io.ts";

const READ_ALL = join(u64(0), u32(0, 8192));

/** Sends until the socket is full twice over a turn of the loop; returns how many messages went. */
async function stuff(peer: RawPeer, next: (id: number) => Uint8Array): Promise<number> {
  let sent = 0;
  for (let idle = 0; idle < 20;) {
    const bytes = next(sent);
    const count = peer.io.send(peer.fd, bytes, 0, bytes.length, []);
    if (count === bytes.length) {
      sent += 1;
      idle = 0;
    } else if (count > 0) {
      await finish(peer, bytes, count);
      sent += 1;
    } else {
      idle += 1;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  return sent;
}

async function finish(peer: RawPeer, bytes: Uint8Array, from: number): Promise<void> {
  for (let at = from; at < bytes.length;) {
    const count = peer.io.send(peer.fd, bytes, at, bytes.length - at, []);
    if (count > 0) at += count;
    else await new Promise((resolve) => setImmediate(resolve));
  }
}

describe.each(TEST_IOS)("a vfio-user server $name", (testIo) => {
  it("stops reading from a client that does not take its replies, and then answers all", async () => {
    await using all = Harness.of(testIo);
    const peer = await all.negotiated();
    peer.deaf = true;
    const sent = await stuff(peer, (id) => message(id & 0x7fff, 9, READ_ALL));
    // The replies in the socket and in the server's queue are bounded; so is what was taken.
    expect(sent * 8192).toBeLessThan(64 * 1024 * 1024);
    expect(sent).toBeGreaterThan(100);
    peer.deaf = false;
    for (let id = 0; id < sent; id += 1) {
      expect((await peer.reply(id & 0x7fff)).payload).toHaveLength(16 + 8192);
    }
    peer.close();
  });

  it("stops reading when too many commands wait behind a slow one, and then serves all", async () => {
    await using all = Harness.of(testIo);
    const peer = await all.negotiated();
    const gate = new Gate();
    all.device.migration.gate = gate;
    const stop = join(u32(16, 2 | 0x2_0000), u32(1, 0));
    const sent = await stuff(peer, (id) => message(id & 0x7fff, 16, stop));
    expect(all.device.migration.walked).toEqual([]);
    gate.open();
    for (let id = 0; id < sent; id += 1) expect((await peer.reply(id)).flags).toBe(1);
    expect(all.device.migration.walked).toHaveLength(sent);
    peer.close();
  });

  it("serves a message however it is cut into writes", async () => {
    await using all = Harness.of(testIo);
    const peer = await all.negotiated();
    const bytes = message(7, 10, join(u64(64), u32(0, 4, 0xabcd_1234)));
    for (let cut = 1; cut < bytes.length; cut += 1) {
      peer.send(bytes.subarray(0, cut));
      await new Promise((resolve) => setImmediate(resolve));
      peer.send(bytes.subarray(cut));
      expect((await peer.reply(7)).payload).toEqual(join(u64(64), u32(0, 4)));
    }
    peer.close();
  });

  it("serves a thousand accesses that came at once, in their order", async () => {
    await using all = Harness.of(testIo);
    const peer = await all.negotiated();
    const writes = Array.from({ length: 1000 }, (_, i) =>
      message(i, 10, join(u64(0), u32(0, 4, i)), 0x10),
    );
    await finish(peer, join(...writes, message(1000, 9, join(u64(0), u32(0, 4)))), 0);
    expect((await peer.reply(1000)).payload.subarray(16)).toEqual(u32(999));
    peer.close();
  });
});
