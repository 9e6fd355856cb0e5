import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Harness } from "../testing/harness.ts";
import { Gate } from "../testing/memory-device.ts";
import { join, message, u32, u64, type RawPeer } from "../testing/raw-peer.ts";
import { TEST_IOS } from "../testing/test-io.ts";

const SET = 0x2_0000;
const DMA_MAP = join(u32(32, 3), u64(0, 0x1000, 4096));
const DMA_UNMAP = join(u32(24, 0), u64(0x1000, 4096));
const SET_STATE = join(u32(16, 2 | SET), u32(3, 0));

/** Sends one message of each kind that leaves something behind. */
async function occupy(all: Harness, peer: RawPeer): Promise<void> {
  const memory = all.io.memfd("guest", 4096);
  const event = all.io.eventfd();
  peer.command(1, 2, DMA_MAP, { fds: [memory] });
  peer.command(2, 8, u32(20, 0x24, 2, 0, 1), { fds: [event] });
  peer.command(3, 8, u32(20, 0x14, 0, 0, 1), { fds: [event] });
  for (const id of [1, 2, 3]) expect((await peer.reply(id)).flags).toBe(1);
  all.io.close(memory);
  all.io.close(event);
}

/** The device serves a new client, and nothing of the old one is left. */
async function expectUsable(all: Harness, gone: number, openFds: number): Promise<void> {
  await all.clientsGone(gone);
  expect(all.device.mappings.size).toBe(0);
  expect(all.device.vectors).toEqual([]);
  expect(all.openFds()).toBe(openFds);
  const next = await all.negotiated();
  next.command(1, 9, join(u64(0), u32(7, 2)));
  expect((await next.reply(1)).payload.subarray(16)).toEqual(Uint8Array.of(0xf4, 0x1a));
  next.close();
  await all.clientsGone(gone + 1);
}

describe.each(TEST_IOS)("a client that goes, $name", (testIo) => {
  it("leaves a reset device, no mapping, no event and no descriptor", async () => {
    await using all = Harness.of(testIo);
    const before = all.openFds();
    const peer = await all.negotiated();
    await occupy(all, peer);
    const bytes = all.device.mappings.get(0x1000n)?.memory?.bytes;
    expect(bytes).toHaveLength(4096);
    peer.close();
    await all.clientsGone(1);
    expect(bytes).toHaveLength(0);
    expect(all.device.resets).toBe(1);
    await expectUsable(all, 1, before);
  });

  it("leaves the device as it is where a hand-over holds it", async () => {
    let keep = true;
    await using all = Harness.of(testIo, { keepOnDisconnect: () => keep });
    const before = all.openFds();
    const peer = await all.negotiated();
    await occupy(all, peer);
    all.device.bar[9] = 9;
    peer.close();
    await all.clientsGone(1);
    expect(all.device.resets).toBe(0);
    expect(all.device.bar[9]).toBe(9);
    expect(all.device.mappings.size).toBe(0);
    keep = false;
    await expectUsable(all, 1, before);
    expect(all.device.resets).toBe(1);
  });

  it("may go before it has said anything, or in the middle of a message", async () => {
    await using all = Harness.of(testIo);
    const before = all.openFds();
    all.connect().close();
    const silent = all.connect();
    silent.send(message(1, 1, new Uint8Array(40)).subarray(0, 20));
    silent.close();
    const half = await all.negotiated();
    const fd = all.io.memfd("guest", 4096);
    half.send(message(1, 2, DMA_MAP).subarray(0, 30), [fd]);
    all.io.close(fd);
    half.close();
    await expectUsable(all, 1, before);
  });

  it.each([
    ["a state change", (all: Harness) => (all.device.migration.gate = new Gate()), 16, SET_STATE],
    ["a reset", (all: Harness) => (all.device.resetGate = new Gate()), 13, u32()],
    ["an unmap", (all: Harness) => (all.device.unmapGate = new Gate()), 3, DMA_UNMAP],
  ] as const)(
    "may go while %s runs, with more behind it",
    async (_name, slow, command, payload) => {
      await using all = Harness.of(testIo);
      const before = all.openFds();
      const peer = await all.negotiated();
      await occupy(all, peer);
      const gate = slow(all);
      peer.command(5, command, payload);
      const fd = all.io.memfd("more", 4096);
      peer.command(6, 2, join(u32(32, 3), u64(0, 0x8000, 4096)), { fds: [fd] });
      peer.command(7, 16, SET_STATE);
      peer.command(8, 9, join(u64(0), u32(0, 4)));
      all.io.close(fd);
      expect((await peer.reply(8)).flags).toBe(1);
      peer.close();
      gate.open();
      await expectUsable(all, 1, before);
      expect(all.device.migration.state).toBe("running");
    },
  );

  it("is cleaned up after within the limit by a device that never lets go", async () => {
    await using all = Harness.of(testIo, { teardownTimeoutMs: 5 });
    const peer = await all.negotiated();
    await occupy(all, peer);
    const bytes = all.device.mappings.get(0x1000n)?.memory?.bytes;
    all.device.resetGate = new Gate();
    all.device.unmapGate = new Gate();
    peer.close();
    await all.clientsGone(1);
    expect(bytes).toHaveLength(0);
    expect(all.log.filter((line) => line.includes("took longer than 5 ms"))).toHaveLength(2);
    (await all.negotiated()).close();
  });

  it("is disconnected by a server that closes", async () => {
    const all = Harness.of(testIo);
    await all.server.close();
    const idle = all.openFds();
    const again = Harness.of(testIo);
    const peer = await again.negotiated();
    await occupy(again, peer);
    await again.server.close();
    await peer.ended;
    peer.close();
    expect(again.device.resets).toBe(1);
    expect(again.openFds()).toBe(idle);
  });

  it("may have sent garbage of any kind, after which the device serves the next one", async () => {
    const seed = Number(process.env["VFMIG_FUZZ_SEED"] ?? Date.now() % 2 ** 31);
    const numRuns = Number(process.env["VFMIG_FUZZ_RUNS"] ?? 60);
    console.info(`garbage: VFMIG_FUZZ_SEED=${seed} VFMIG_FUZZ_RUNS=${numRuns}`);
    await using all = Harness.of(testIo);
    const before = all.openFds();
    let gone = 0;
    const junk = fc.array(
      fc.oneof(
        {
          weight: 3,
          arbitrary: fc.record({
            command: fc.nat(20),
            payload: words(),
            size: fc.constant(-1),
            flags: fc.constantFrom(0, 0x10),
          }),
        },
        {
          weight: 1,
          arbitrary: fc.record({
            command: fc.nat(0xffff),
            payload: fc.uint8Array({ maxLength: 400 }),
            size: fc.oneof(fc.constant(-1), fc.nat(500)),
            flags: fc.nat(0x3f),
          }),
        },
      ),
      { minLength: 1, maxLength: 12 },
    );
    await fc.assert(
      fc.asyncProperty(junk, fc.boolean(), async (messages, negotiate) => {
        const peer = all.connect();
        if (negotiate) {
          await peer.negotiate();
          gone += 1;
        }
        const fd = all.io.eventfd();
        for (const [id, each] of messages.entries()) {
          const bytes = message(id, each.command, each.payload, each.flags);
          if (each.size >= 0) new DataView(bytes.buffer).setUint32(4, each.size, true);
          try {
            peer.send(bytes, id % 3 === 0 ? [fd] : []);
          } catch {
            break; // The server has closed already.
          }
        }
        all.io.close(fd);
        peer.close();
        await expectUsable(all, gone, before);
        gone += 1;
      }),
      { seed, numRuns, endOnFailure: true },
    );
  });
});

/** Payloads of fields that are often in range, so that more than the first check is reached. */
function words(): fc.Arbitrary<Uint8Array> {
  const field = fc.oneof(
    fc.nat(40),
    fc.constantFrom(0x24, 0x21, 0x1_0001, 0x2_0002, 0x2_0006, 0x1_0008, 4096, 0xffff_ffff),
    fc.integer({ min: 0, max: 0xffff_ffff }),
  );
  return fc.array(field, { maxLength: 20 }).map((fields) => u32(...fields));
}
