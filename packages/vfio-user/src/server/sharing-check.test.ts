import { createDmaMap, createGuestMemory, type DmaMapping, type IovaRange } from "@vfmig/core";
import { describe, expect, it } from "vitest";
import { connectVfioUser } from "../client/client.ts";
import type { VfioUserServerOptions } from "./options.ts";
import { Harness } from "../testing/harness.ts";
import { MemoryDevice } from "../testing/memory-device.ts";
import { join, message, QEMU_CAPABILITIES, u32, u64, type RawPeer } from "../testing/raw-peer.ts";
import { dmaMap, dmaUnmap, errno, regionRead, regionWrite } from "../testing/requests.ts";
import { TEST_IOS } from "../testing/test-io.ts";

const PAGE = 4096;
const DOORBELL = 0x200;
/** Where the guest has put what the device is to read. */
const RING = 0x3000;

/** Reads a word of guest memory at each doorbell, through the memory that models and plugins have. */
class RingDevice extends MemoryDevice {
  readonly #map = createDmaMap();
  readonly #guest = createGuestMemory(this.#map);
  readonly seen: number[] = [];

  override mapDma(mapping: DmaMapping): void {
    super.mapDma(mapping);
    this.#map.add(mapping);
  }

  override unmapDma(range: IovaRange): void {
    this.mappings.delete(range.iova);
    this.#map.remove(this.#map.exact(range));
  }

  override writeRegion(index: number, offset: number, from: Uint8Array): void {
    if (index !== 0 || offset !== DOORBELL) return super.writeRegion(index, offset, from);
    const word = new Uint8Array(1);
    this.#guest.read(RING, word);
    this.seen.push(word[0] ?? 0);
  }
}

/** A client that sends the file of its memory, and a guest that runs on `guest`. */
async function machine(
  testIo: (typeof TEST_IOS)[number],
  shared: boolean,
  options: Partial<VfioUserServerOptions> & { readonly capabilities?: string } = {},
): Promise<{
  all: Harness<RingDevice>;
  peer: RawPeer;
  guest: Uint8Array;
  asked: () => number;
  ring: () => Promise<number>;
  answer: { dataAt: number; errno: number };
}> {
  const all = new Harness(testIo.open(), new RingDevice(), options);
  const peer = all.connect();
  await peer.negotiate(options.capabilities ?? QEMU_CAPABILITIES);
  const fd = all.io.memfd("guest", 16 * PAGE);
  const file = all.io.mmap(fd, 16 * PAGE);
  const guest = shared ? file.bytes : new Uint8Array(16 * PAGE);
  let asked = 0;
  const answer = { dataAt: 16, errno: 0 };
  peer.onMessage = ({ id, command, payload }) => {
    asked += 1;
    const view = new DataView(payload.buffer);
    const [at, count] = [Number(view.getBigUint64(0, true)), view.getUint32(8, true)];
    const reply = new Uint8Array(16 + count);
    reply.set(payload.subarray(0, 16));
    reply.set(guest.subarray(at, at + count), answer.dataAt);
    const bytes = message(
      id,
      command,
      answer.errno === 0 ? reply : undefined,
      answer.errno === 0 ? 1 : 0x21,
    );
    new DataView(bytes.buffer).setUint32(12, answer.errno, true);
    peer.send(bytes);
  };
  peer.command(1, 2, dmaMap(0, 16 * PAGE), { fds: [fd] });
  expect(await errno(peer, 1)).toBe(0);
  all.io.close(fd);
  const ring = async (): Promise<number> => {
    peer.command(2, 10, regionWrite(DOORBELL, u32(1)));
    const first = await errno(peer, 2);
    // Two more round trips, in which messages to the client and back have travelled.
    for (const id of [3, 4, 5, 6]) {
      peer.command(id, 9, regionRead(0, 4));
      await peer.reply(id);
    }
    return first;
  };
  return { all, peer, guest, asked: () => asked, ring, answer };
}

describe.each(TEST_IOS)("guest memory that may be private $name", (testIo) => {
  it("is taken as shared once a page with contents has been compared", async () => {
    const { all, peer, guest, asked, ring } = await machine(testIo, true);
    await using _ = all;
    guest[RING] = 0x77;
    expect(await ring()).toBe(0);
    expect(await ring()).toBe(0);
    expect(all.device.seen).toEqual([0x77, 0x77]);
    expect(asked()).toBe(1);
    peer.close();
  });

  it("is refused where the guest has other bytes than its file, and the option is named", async () => {
    const { all, peer, guest, ring } = await machine(testIo, false);
    await using _ = all;
    guest[RING] = 0x77;
    await ring();
    expect(await ring()).toBe(5);
    expect(all.log.join("\n")).toMatch(/private.*share=on/s);
    expect(all.device.mappings.size).toBe(0);
    // A client can still go in order.
    peer.command(20, 3, dmaUnmap(0, 16 * PAGE));
    expect(await errno(peer, 20)).toBe(2);
    peer.command(21, 13);
    expect(await errno(peer, 21)).toBe(0);
    peer.close();
    await all.clientsGone(1);
    const next = all.connect();
    await next.negotiate();
    next.command(1, 9, regionRead(0, 4));
    expect(await errno(next, 1)).toBe(0);
    next.close();
  });

  it("is looked at again where the page says nothing, being empty on both sides", async () => {
    const { all, peer, guest, asked, ring } = await machine(testIo, false);
    await using _ = all;
    expect(await ring()).toBe(0);
    expect(await ring()).toBe(0);
    expect(asked()).toBe(2);
    guest[RING + 8] = 1;
    await ring();
    expect(await ring()).toBe(5);
    peer.close();
  });

  it("is looked at again after a refusal, as before bus mastering", async () => {
    const { all, peer, guest, asked, ring, answer } = await machine(testIo, false);
    await using _ = all;
    guest[RING] = 1;
    answer.errno = 19;
    expect(await ring()).toBe(0);
    expect(await ring()).toBe(0);
    expect(asked()).toBe(2);
    answer.errno = 0;
    await ring();
    expect(await ring()).toBe(5);
    peer.close();
  });

  it("is not asked for a second time of a client that takes no such message", async () => {
    const { all, peer, guest, asked, ring, answer } = await machine(testIo, true);
    await using _ = all;
    guest[RING] = 1;
    answer.errno = 38;
    await ring();
    await ring();
    expect(asked()).toBe(1);
    peer.close();
  });

  it("is recognised as shared for QEMU up to 10.2 too, whose fault the log names", async () => {
    const { all, peer, guest, asked, ring, answer } = await machine(testIo, true);
    await using _ = all;
    guest.fill(0x5a, RING, RING + 64);
    answer.dataAt = 12;
    await ring();
    expect(await ring()).toBe(0);
    expect(asked()).toBe(1);
    expect(all.log.join("\n")).toContain("qemu-10.2-dma");
    peer.close();
  });

  it.each([
    [
      "cloud-hypervisor",
      { capabilities: '{"capabilities":{"max_msg_fds":1,"migration":{"pgsize":4096}}}' },
    ],
    ["anybody, where it is switched off", { checkSharing: false }],
  ])("is not asked for from %s", async (_name, options) => {
    const { all, peer, asked, ring } = await machine(testIo, false, options);
    await using _ = all;
    expect(await ring()).toBe(0);
    expect(asked()).toBe(0);
    peer.close();
  });

  it("is noticed of this package's own client, which answers by itself", async () => {
    await using all = new Harness(testIo.open(), new RingDevice());
    await using client = await connectVfioUser({ io: all.io, path: all.path });
    const fd = all.io.memfd("file", 16 * PAGE);
    const bytes = new Uint8Array(16 * PAGE).fill(3);
    await client.mapDma({
      iova: 0n,
      size: BigInt(16 * PAGE),
      read: true,
      write: true,
      memory: { bytes, fd, fdOffset: 0n },
    });
    await client.writeRegion(0, DOORBELL, u32(1));
    const refused = async (): Promise<boolean> => {
      try {
        for (let i = 0; i < 20; i += 1) await client.readRegion(0, 0, new Uint8Array(4));
        return false;
      } catch {
        return true;
      }
    };
    expect(await refused()).toBe(true);
    expect(all.log.join("\n")).toContain("share=on");
    all.io.close(fd);
  });
});

/** The check does not take a page that the guest writes meanwhile for a private one. */
describe.each(TEST_IOS)("guest memory that changes while it is compared $name", (testIo) => {
  it("stays shared", async () => {
    const { all, peer, guest, ring } = await machine(testIo, true);
    await using _ = all;
    const answer = peer.onMessage;
    let tick = 0;
    peer.onMessage = (request) => {
      tick += 1;
      guest.set(join(u64(tick), u32(tick)), RING);
      answer?.(request);
      guest.set(join(u64(tick + 100), u32(tick)), RING);
    };
    for (let i = 0; i < 5; i += 1) expect(await ring()).toBe(0);
    peer.onMessage = answer;
    expect(await ring()).toBe(0);
    expect(all.log.join("\n")).not.toContain("private");
    peer.close();
  });
});
