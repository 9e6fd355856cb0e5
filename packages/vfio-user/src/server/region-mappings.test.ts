import { describe, expect, it } from "vitest";
import { adjustableDevice, type AdjustableDevice } from "../testing/adjustable-device.ts";
import { Harness } from "../testing/harness.ts";
import { join, u32, u64, type RawPeer, type RawReply } from "../testing/raw-peer.ts";
import { EINVAL, errno } from "../testing/requests.ts";
import { TEST_IOS, type TestIo } from "../testing/test-io.ts";

const UNMAPPED = 0x8001;
const ENOSYS = 38;
const E2BIG = 7;
const ENOSPC = 28;
const OURS = '{"capabilities":{"max_msg_fds":8,"pgsizes":4096,"vfmig":{"layout":true}}}';

interface Rig extends AsyncDisposable {
  readonly all: Harness<AdjustableDevice["device"]>;
  readonly it: AdjustableDevice;
  /** A raw client with these capabilities. */
  connect(json?: string): Promise<RawPeer>;
}

async function rig(testIo: TestIo, pages = 4): Promise<Rig> {
  const opened = testIo.open();
  const mmapFd = opened.io.memfd("bar", 4096 * (pages + 1));
  const it = await adjustableDevice(mmapFd);
  const all = new Harness(opened, it.device);
  return {
    all,
    it,
    async connect(json = OURS) {
      const peer = all.connect();
      await peer.negotiate(json);
      return peer;
    },
    async [Symbol.asyncDispose]() {
      await all.server.close();
      opened.io.close(mmapFd);
    },
  };
}

let id = 0;

async function ask(peer: RawPeer, command: number, payload: Uint8Array): Promise<RawReply> {
  id += 1;
  peer.command(id, command, payload);
  const reply = await peer.reply(id);
  for (const fd of reply.fds) peer.io.close(fd);
  return reply;
}

const regionInfo = (peer: RawPeer, argsz = 4096): Promise<RawReply> =>
  ask(peer, 5, u32(argsz, 0, 2, 0, 0, 0, 0, 0));

function unmapped(
  peer: RawPeer,
  areas: readonly (readonly [number | bigint, number | bigint])[],
  more: { region?: number; count?: number; argsz?: number; flags?: number } = {},
): Promise<RawReply> {
  const { region = 2, count = areas.length, argsz = 16 + 16 * areas.length, flags = 0 } = more;
  const list = areas.map(([offset, size]) => u64(offset, size));
  return ask(peer, UNMAPPED, join(u32(argsz, flags, region, count), ...list));
}

async function goTo(peer: RawPeer, state: number): Promise<number> {
  return (await ask(peer, 16, join(u32(16, 2 | 0x2_0000), u32(state, 0)))).errno;
}

/** Ids of the capabilities in a reply with region information. */
function capabilities({ payload }: RawReply): readonly number[] {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const ids: number[] = [];
  for (let at = view.getUint32(12, true); at !== 0; at = view.getUint32(at + 4, true)) {
    ids.push(view.getUint16(at, true));
  }
  return ids;
}

describe.each(TEST_IOS)("a client that was given areas to map $name", (testIo) => {
  it("is in the way of saving until it says that it has unmapped them", async () => {
    await using all = await rig(testIo);
    const peer = await all.connect();
    await regionInfo(peer);
    expect(await goTo(peer, 3)).toBe(16);
    expect((await unmapped(peer, [[0, 4096]])).flags).toBe(1);
    expect(await goTo(peer, 3)).toBe(0);
    peer.close();
  });

  it("is not in the way where it asked for no capabilities, and so got no file", async () => {
    await using all = await rig(testIo);
    const peer = await all.connect();
    expect((await regionInfo(peer, 32)).payload).toHaveLength(32);
    expect(await goTo(peer, 3)).toBe(0);
    peer.close();
  });

  it("is in the way again when it has asked again", async () => {
    await using all = await rig(testIo);
    const peer = await all.connect();
    for (let i = 0; i < 3; i += 1) {
      await regionInfo(peer);
      await regionInfo(peer);
      expect(await goTo(peer, 3)).toBe(16);
      await unmapped(peer, [], { count: 0 });
    }
    expect(await goTo(peer, 3)).toBe(0);
    peer.close();
  });

  it("can say it of what it was never given, or twice, and nothing comes of it", async () => {
    await using all = await rig(testIo);
    const peer = await all.connect();
    expect((await unmapped(peer, [[4096, 4096]])).errno).toBe(0);
    await regionInfo(peer);
    expect((await unmapped(peer, [[8192, 8192]])).errno).toBe(0);
    expect((await unmapped(peer, [[8192, 4096]])).errno).toBe(0);
    expect((await unmapped(peer, [], { count: 0, region: 0 })).errno).toBe(0);
    expect(await goTo(peer, 3)).toBe(16);
    expect(all.it.base.noted).toEqual(new Set(["2/0"]));
    peer.close();
  });

  it.each([
    ["half a page", [[0, 2048]], {}],
    ["no byte", [[0, 0]], {}],
    [
      "areas in disorder",
      [
        [8192, 4096],
        [0, 4096],
      ],
      {},
    ],
    [
      "areas that overlap",
      [
        [0, 8192],
        [4096, 8192],
      ],
      {},
    ],
    ["an area outside", [[16_384, 4096]], {}],
    ["an area that wraps", [[4096, 0xffff_ffff_ffff_f000n]], {}],
    ["no such region", [[0, 4096]], { region: 9 }],
    ["a flag", [[0, 4096]], { flags: 1 }],
    ["a wrong argsz", [[0, 4096]], { argsz: 16 }],
    ["more areas than there are", [[0, 4096]], { count: 2 }],
    ["fewer areas than there are", [[0, 4096]], { count: 0 }],
  ] as const)("is refused for %s, and nothing is released", async (_, areas, more) => {
    await using all = await rig(testIo);
    const peer = await all.connect();
    await regionInfo(peer);
    expect((await unmapped(peer, areas, more)).errno).toBe(EINVAL);
    expect(await goTo(peer, 3)).toBe(16);
    peer.close();
  });

  it("is refused a message that is too short, and one of too many areas", async () => {
    await using all = await rig(testIo);
    const peer = await all.connect();
    expect((await ask(peer, UNMAPPED, u32(16, 0, 2))).errno).toBe(EINVAL);
    expect((await unmapped(peer, [], { count: 1025 })).errno).toBe(E2BIG);
    peer.close();
  });
});

describe.each(TEST_IOS)("a client that has not said vfmig.layout $name", (testIo) => {
  it.each(["QEMU's", "none", "of another version of ours"])(
    "(%s) sees nothing of it",
    async (who) => {
      await using all = await rig(testIo);
      const json: Record<string, string | undefined> = {
        none: '{"capabilities":{"max_msg_fds":8}}',
        "of another version of ours": '{"capabilities":{"max_msg_fds":8,"vfmig":{"thread":"x"}}}',
      };
      const peer = all.all.connect();
      const version = await peer.negotiate(json[who]);
      expect(Buffer.from(version.payload).toString("latin1")).not.toContain("layout");
      expect(capabilities(await regionInfo(peer))).toEqual([1]);
      const irq = await ask(peer, 7, u32(4096, 0, 5, 0));
      expect([...new Uint32Array(irq.payload.slice().buffer)]).toEqual([16, 1, 5, 1]);
      expect((await unmapped(peer, [[0, 4096]])).errno).toBe(ENOSYS);
      expect(await goTo(peer, 3)).toBe(16);
      peer.close();
    },
  );

  it("is told of the extension only where it has asked for it", async () => {
    await using all = await rig(testIo);
    const peer = all.all.connect();
    const version = await peer.negotiate(OURS);
    expect(Buffer.from(version.payload).toString("latin1")).toContain('"vfmig":{"layout":true}');
    expect(capabilities(await regionInfo(peer))).toEqual([1, 0x7666]);
    const small = await ask(peer, 7, u32(16, 0, 5, 0));
    expect([...new Uint32Array(small.payload.slice().buffer)]).toEqual([40, 1, 5, 1]);
    const whole = await ask(peer, 7, u32(40, 0, 5, 0));
    expect([...new Uint32Array(whole.payload.slice().buffer)]).toEqual([
      40, 17, 5, 1, 24, 0, 0x1_7666, 0, 0x7666_6d67, 1,
    ]);
    peer.close();
  });
});

it("a client that cuts what it was given into crumbs is refused", async () => {
  const [testIo] = TEST_IOS;
  if (testIo === undefined) throw new Error("no io");
  const opened = testIo.open();
  const noted: string[] = [];
  const io = opened.io;
  const fd = io.memfd("bar", 4096 * 4096);
  const { device } = await adjustableDevice(fd);
  const region = {
    index: 2,
    size: 4096 * 4096,
    read: true,
    write: true,
    mmap: { fd, fdOffset: 0n, areas: [{ offset: 0, size: 4096 * 4096 }] },
  };
  const wide = Object.create(device, {
    info: { value: { ...device.info, regions: device.info.regions.with(2, region) } },
    asyncRegions: { value: undefined },
    noteMapping: {
      value: (_: number, { offset }: { offset: number }) => {
        noted.push(`+${offset}`);
        return { [Symbol.dispose]: () => void noted.push(`-${offset}`) };
      },
    },
    migration: { value: undefined },
    dmaLogging: { value: undefined },
    reset: { value: async () => {} },
  }) as typeof device;
  await using all = new Harness(opened, wide);
  const peer = all.connect();
  await peer.negotiate(OURS);
  await regionInfo(peer);
  const odd = (from: number, count: number): (readonly [number, number])[] =>
    Array.from({ length: count }, (_, i) => [(2 * (from + i) + 1) * 4096, 4096] as const);
  expect((await unmapped(peer, odd(0, 400))).errno).toBe(0);
  expect((await unmapped(peer, odd(400, 400))).errno).toBe(0);
  expect((await unmapped(peer, odd(800, 400))).errno).toBe(ENOSPC);
  expect(noted).toEqual(["+0"]);
  expect((await unmapped(peer, [], { count: 0 })).errno).toBe(0);
  expect(noted).toEqual(["+0", "-0"]);
  peer.command(0xfff0, 13);
  expect(await errno(peer, 0xfff0)).toBe(0);
  peer.close();
  await all.clientsGone(1);
  io.close(fd);
});
