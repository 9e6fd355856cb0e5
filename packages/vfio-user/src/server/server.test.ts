import { Harness } from "../testing/harness.ts";
import { BAR_BYTES, MemoryDevice } from "../testing/memory-device.ts";
import { RawPeer, message, u32 } from "../testing/raw-peer.ts";
import { errno, regionRead, regionWrite } from "../testing/requests.ts";
import { TEST_IOS } from "../testing/test-io.ts";
import { createVfioUserServer } from "./server.ts";
import { describe, expect, it } from "vitest";

describe.each(TEST_IOS)("the clients of a vfio-user server $name", (testIo) => {
  it("sends nothing back for messages that want no reply, not even errors", async () => {
    await using all = Harness.of(testIo);
    const peer = await all.negotiated();
    peer.command(1, 10, regionWrite(0, Uint8Array.of(5)), { flags: 0x10 });
    peer.command(2, 10, regionWrite(BAR_BYTES, Uint8Array.of(5)), { flags: 0x10 });
    peer.command(3, 99, u32(), { flags: 0x10 });
    peer.command(4, 9, regionRead(0, 1));
    expect((await peer.reply(4)).payload.at(-1)).toBe(5);
    expect(peer.replies).toEqual([]);
    peer.close();
  });

  it.each([
    [0, 38],
    [6, 95],
    [11, 38],
    [14, 38],
    [15, 95],
    [99, 38],
    [1, 38],
  ])("answers command %i, which it does not serve, with errno %i", async (command, expected) => {
    await using all = Harness.of(testIo);
    const peer = await all.negotiated();
    peer.command(1, command, u32(16, 0, 0, 0));
    expect(await errno(peer, 1)).toBe(expected);
    peer.command(2, 9, regionRead(0, 1));
    expect(await errno(peer, 2)).toBe(0);
    peer.close();
  });

  it("ends the connection at a message larger than agreed, and serves the next client", async () => {
    await using all = Harness.of(testIo);
    const peer = await all.negotiated();
    const head = message(1, 10, new Uint8Array(0));
    new DataView(head.buffer).setUint32(4, 2_000_000, true);
    peer.send(head);
    await peer.ended;
    peer.close();
    const next = await all.negotiated();
    next.command(1, 9, regionRead(0, 4));
    expect(await errno(next, 1)).toBe(0);
    next.close();
  });

  it("serves one client at a time and the waiting one afterwards", async () => {
    await using all = Harness.of(testIo);
    const first = await all.negotiated();
    const second = all.connect();
    const waiting = second.negotiate();
    first.command(1, 9, regionRead(0, 4));
    expect(await errno(first, 1)).toBe(0);
    expect(second.replies).toEqual([]);
    first.close();
    expect((await waiting).flags).toBe(1);
    second.close();
  });

  it("ends a served socket's server with its client", async () => {
    const { io } = testIo.open();
    const [ours, theirs] = io.socketPair();
    const server = createVfioUserServer({ io, device: new MemoryDevice(), fd: theirs });
    const peer = new RawPeer(io, ours);
    await peer.negotiate();
    peer.close();
    await server.closed;
    expect(server.busy).toBe(false);
  });
});
