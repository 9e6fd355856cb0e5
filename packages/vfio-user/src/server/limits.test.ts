import { connectVfioUser } from "../client/client.ts";
import { Harness } from "../testing/harness.ts";
import { join, u32, u64 } from "../testing/raw-peer.ts";
import { EINVAL, errno, regionRead, regionWrite, setState } from "../testing/requests.ts";
import { TEST_IOS } from "../testing/test-io.ts";
import { describe, expect, it } from "vitest";

async function capabilitiesOf(all: Harness, json: string): Promise<Record<string, unknown>> {
  const peer = all.connect();
  const reply = await peer.negotiate(json);
  peer.close();
  return JSON.parse(new TextDecoder().decode(reply.payload.subarray(4, -1))).capabilities;
}

describe.each(TEST_IOS)("limits agreed upon with a vfio-user server $name", (testIo) => {
  it("are never more than the client proposed", async () => {
    await using all = Harness.of(testIo, { writeMultiple: true });
    const named = {
      max_dma_maps: 7,
      pgsizes: 0x20_1000,
      write_multiple: false,
      twin_socket: { supported: false },
    };
    const agreed = await capabilitiesOf(all, JSON.stringify({ capabilities: named }));
    expect(agreed).toEqual({
      max_msg_fds: 16,
      max_data_xfer_size: 1_048_576,
      max_dma_maps: 7,
      pgsizes: 4096,
    });
  });

  it("must have a page size in common", async () => {
    await using all = Harness.of(testIo);
    const peer = all.connect();
    peer.command(
      1,
      1,
      join(u32(0), new TextEncoder().encode('{"capabilities":{"pgsizes":65536}}\0')),
    );
    expect(await errno(peer, 1)).toBe(EINVAL);
    await peer.ended;
    peer.close();
  });

  it("hold for the data of reads, writes and device state, both ways", async () => {
    await using all = Harness.of(testIo, { maxDataTransferSize: 8192 });
    const peer = all.connect();
    await peer.negotiate('{"capabilities":{"max_data_xfer_size":4096}}');
    peer.command(1, 9, regionRead(0, 4096));
    expect((await peer.reply(1)).payload).toHaveLength(16 + 4096);
    peer.command(2, 9, regionRead(0, 4097));
    peer.command(3, 10, regionWrite(0, new Uint8Array(8192).fill(1, 0, 4)));
    peer.command(4, 10, regionWrite(0, new Uint8Array(8193)));
    peer.command(5, 16, setState(4));
    peer.command(6, 18, join(u32(8 + 8193, 8193), new Uint8Array(8193)));
    peer.command(7, 18, join(u32(8 + 8192, 8192), new Uint8Array(8192)));
    const answers: number[] = [];
    for (const id of [2, 3, 4, 5, 6, 7]) answers.push((await peer.reply(id)).errno);
    expect(answers).toEqual([EINVAL, 0, EINVAL, 0, EINVAL, 0]);
    peer.close();
  });

  it("keep a client that takes no fds from mapping regions", async () => {
    const opened = testIo.open();
    const fd = opened.io.memfd("bar", 32_768);
    await using all = Harness.of({ ...testIo, open: () => opened }, { mmapFd: fd });
    const peer = all.connect();
    await peer.negotiate('{"capabilities":{"max_msg_fds":0}}');
    peer.command(1, 5, join(u32(4096, 0, 2, 0), u64(0, 0)));
    const reply = await peer.reply(1);
    expect([reply.fds, reply.payload.length]).toEqual([[], 32]);
    expect([...all.device.noted]).toEqual([]);
    peer.close();
    all.io.close(fd);
  });

  it.each([
    [4, u32(32, 0, 0, 0), 16],
    [4, u32(16, 0, 0, 0), 16],
    [5, join(u32(32, 0, 0, 0), u64(0, 0)), 32],
    [5, join(u32(4096, 0, 8, 0), u64(0, 0)), 32],
    [5, join(u32(4096, 0, 2, 0), u64(0, 0)), 32 + 16 + 2 * 16],
    [5, join(u32(64, 0, 2, 0), u64(0, 0)), 32],
    [7, u32(16, 0, 2, 0), 16],
    [7, u32(64, 0, 4, 0), 16],
  ])(
    "leave the reply to command %i of the size that clients count on",
    async (command, payload, size) => {
      const opened = testIo.open();
      const fd = opened.io.memfd("bar", 32_768);
      await using all = Harness.of({ ...testIo, open: () => opened }, { mmapFd: fd });
      const peer = await all.negotiated();
      peer.command(1, command, payload);
      const reply = await peer.reply(1);
      expect([reply.flags, reply.payload.length]).toEqual([1, size]);
      for (const each of reply.fds) all.io.close(each);
      peer.close();
      all.io.close(fd);
    },
  );
});

describe.each(TEST_IOS)("a twin socket $name", (testIo) => {
  const json = '{"capabilities":{"max_msg_fds":1,"pgsizes":4096,"twin_socket":{"supported":true}}}';

  it("comes with the version where the client wants one, and takes no commands", async () => {
    await using all = Harness.of(testIo);
    const before = all.openFds();
    const peer = all.connect();
    const reply = await peer.negotiate(json);
    expect(new TextDecoder().decode(reply.payload)).toContain(
      '"twin_socket":{"supported":true,"fd_index":0}',
    );
    const [twin] = reply.fds;
    if (twin === undefined) throw new Error("no twin came");
    expect(all.io.status(twin).kind).toBe("socket");
    const command = join(u32(1 | (9 << 16), 32), u32(0, 0), regionRead(0, 4));
    expect(all.io.send(twin, command, 0, command.length, [])).toBe(command.length);
    // The first socket goes on.
    for (const id of [1, 2, 3]) {
      peer.command(id, 9, regionRead(0, 4));
      expect(await errno(peer, id)).toBe(0);
    }
    all.io.close(twin);
    peer.close();
    await all.clientsGone(1);
    expect(all.openFds()).toBe(before);
  });

  it("fails the device's accesses once the client has closed it", async () => {
    await using all = Harness.of(testIo);
    const peer = all.connect();
    const reply = await peer.negotiate(json);
    peer.command(1, 2, join(u32(32, 3), u64(0, 0, 4096)));
    expect(await errno(peer, 1)).toBe(0);
    const remote = all.device.mappings.get(0n)?.remote;
    const reading = remote?.read(0n, new Uint8Array(4));
    for (const fd of reply.fds) all.io.close(fd);
    await expect(reading).rejects.toMatchObject({ code: "ERR_VFMIG_VFIO_USER_CLOSED" });
    peer.command(2, 9, regionRead(0, 4));
    expect(await errno(peer, 2)).toBe(0);
    peer.close();
  });

  it("is not given where the server's owner does not want it", async () => {
    await using all = Harness.of(testIo, { twinSocket: false });
    await using client = await connectVfioUser({ io: all.io, path: all.path, twinSocket: true });
    const bytes = new Uint8Array(4096);
    const range = { iova: 0n, size: 4096n };
    await client.mapDma({ ...range, read: true, write: true, memory: { bytes } });
    await all.device.mappings.get(0n)?.remote?.write(1n, Uint8Array.of(5));
    expect(bytes[1]).toBe(5);
  });
});
