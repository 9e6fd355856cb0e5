import { writeSync } from "node:fs";
import { PCI_IRQ } from "@vfmig/core";
import { createLinuxIo, type NativeIo } from "@vfmig/linux";
import { Harness } from "../../testing/harness.ts";
import { MemoryDevice, REGISTER } from "../../testing/memory-device.ts";
import { join, u32, type RawPeer } from "../../testing/raw-peer.ts";
import { EINVAL, errno, regionRead, regionWrite } from "../../testing/requests.ts";
import { TEST_IOS, type TestIo } from "../../testing/test-io.ts";
import { describe, expect, it } from "vitest";

const [NONE, BOOL, EVENT] = [1, 2, 4];
const [MASK, UNMASK, TRIGGER] = [8, 16, 32];

async function roundTrip(peer: RawPeer): Promise<void> {
  peer.command(0x4000, 9, regionRead(0, 1));
  await peer.reply(0x4000);
}

describe.each(TEST_IOS)("the forms of SET_IRQS $name", (testIo) => {
  it("reach the device with every action and every kind of data", async () => {
    await using all = Harness.of(testIo);
    const peer = await all.negotiated();
    const event = all.io.eventfd();
    let id = 0;
    for (const action of [MASK, UNMASK, TRIGGER]) {
      for (const kind of [NONE, BOOL, EVENT]) {
        const payload = join(
          u32(kind === BOOL ? 21 : 20, kind | action, PCI_IRQ.INTX, 0, 1),
          kind === BOOL ? Uint8Array.of(1) : new Uint8Array(0),
        );
        peer.command((id += 1), 8, payload, kind === EVENT ? { fds: [event] } : {});
        expect(await errno(peer, id)).toBe(0);
      }
    }
    expect(all.device.irqRequests.map(({ action, data }) => `${action} ${data.kind}`)).toEqual(
      ["mask", "unmask", "trigger"].flatMap((action) =>
        ["none", "bool", "event"].map((kind) => `${action} ${kind}`),
      ),
    );
    all.io.close(event);
    peer.close();
  });

  it.each([PCI_IRQ.INTX, PCI_IRQ.MSI, PCI_IRQ.MSIX, PCI_IRQ.ERR, PCI_IRQ.REQ])(
    "set, take away and disable the vectors of index %i",
    async (index) => {
      await using all = Harness.of(testIo);
      const peer = await all.negotiated();
      const event = all.io.eventfd();
      const before = all.openFds();
      const count = all.device.info.irqs[index]?.count ?? 0;
      if (count === 0) {
        peer.command(1, 8, u32(20, EVENT | TRIGGER, index, 0, 1), { fds: [event] });
        expect(await errno(peer, 1)).toBe(EINVAL);
      } else {
        const steps: [number, number, number, number[], number][] = [
          [EVENT | TRIGGER, count - 1, 1, [event], 1],
          [EVENT | TRIGGER, count - 1, 1, [], 0],
          [EVENT | TRIGGER, count - 1, 1, [event], 1],
          [NONE | TRIGGER, 0, 0, [], 0],
        ];
        for (const [id, [flags, start, vectors, fds, open]] of steps.entries()) {
          peer.command(id, 8, u32(20, flags, index, start, vectors), { fds });
          expect(await errno(peer, id)).toBe(0);
          expect(all.openFds()).toBe(before + open);
        }
        peer.command(9, 8, u32(20, EVENT | TRIGGER, index, count, 1), { fds: [event] });
        expect(await errno(peer, 9)).toBe(EINVAL);
      }
      expect(all.openFds()).toBe(before);
      all.io.close(event);
      peer.close();
    },
  );

  it("let the client unmask INTx by an event, until it takes that away", async () => {
    await using all = Harness.of(testIo);
    const peer = await all.negotiated();
    const event = all.io.eventfd();
    peer.command(1, 8, u32(20, EVENT | UNMASK, PCI_IRQ.INTX, 0, 1), { fds: [event] });
    expect(await errno(peer, 1)).toBe(0);
    const before = all.device.irqRequests.length;
    all.io.signalEventfd(event);
    // The event may be seen a turn of the loop later than the messages.
    while (all.device.irqRequests.length === before) await roundTrip(peer);
    expect(all.device.irqRequests.at(-1)).toEqual({
      index: 0,
      start: 0,
      count: 1,
      action: "unmask",
      data: { kind: "none" },
    });
    expect(all.io.drainEventfd(event)).toBe(0);
    peer.command(2, 8, u32(20, EVENT | UNMASK, PCI_IRQ.INTX, 0, 1));
    expect(await errno(peer, 2)).toBe(0);
    const after = all.device.irqRequests.length;
    all.io.signalEventfd(event);
    for (let i = 0; i < 5; i += 1) await roundTrip(peer);
    expect(all.device.irqRequests).toHaveLength(after);
    all.io.close(event);
    peer.close();
  });

  it("take 16 fds from a client that said it sends one, and close the connection at more", async () => {
    await using all = Harness.of(testIo);
    const peer = all.connect();
    await peer.negotiate('{"capabilities":{"max_msg_fds":1}}');
    const event = all.io.eventfd();
    const fds = (count: number): number[] => Array.from({ length: count }, () => event);
    peer.command(1, 8, u32(20, EVENT | TRIGGER, PCI_IRQ.MSIX, 0, 16), { fds: fds(16) });
    expect(await errno(peer, 1)).toBe(0);
    peer.command(2, 8, u32(20, EVENT | TRIGGER, PCI_IRQ.MSIX, 0, 17), { fds: fds(17) });
    await peer.ended;
    peer.close();
    await all.clientsGone(1);
    all.io.close(event);
  });
});

describe("an eventfd whose counter is full", () => {
  it("holds up nobody", async () => {
    const io = createLinuxIo();
    await using all = new Harness(onLinux(io), new MemoryDevice());
    const peer = await all.negotiated();
    const event = fullEventfd(io);
    peer.command(1, 8, u32(20, EVENT | TRIGGER, PCI_IRQ.MSIX, 0, 1), { fds: [event] });
    expect(await errno(peer, 1)).toBe(0);
    for (const id of [2, 3]) {
      peer.command(id, 10, regionWrite(REGISTER.RAISE, Uint8Array.of(0)));
      expect(await errno(peer, id)).toBe(0);
    }
    io.close(event);
    peer.close();
  });

  it("is not written where it blocks, until there is room again, and keeps its mode", async () => {
    const plain = createLinuxIo();
    let writes = 0;
    const io: NativeIo = {
      ...plain,
      blocks: () => true,
      setNonBlocking: () => expect.unreachable("the mode is the client's"),
      signalEventfd(fd) {
        writes += 1;
        plain.signalEventfd(fd);
      },
    };
    await using all = new Harness(onLinux(io), new MemoryDevice());
    const peer = await all.negotiated();
    const event = fullEventfd(plain);
    peer.command(1, 8, u32(20, EVENT | TRIGGER, PCI_IRQ.MSIX, 0, 1), { fds: [event] });
    expect(await errno(peer, 1)).toBe(0);
    peer.command(2, 10, regionWrite(REGISTER.RAISE, Uint8Array.of(0)));
    expect(await errno(peer, 2)).toBe(0);
    expect(writes).toBe(0);
    plain.drainEventfd(event);
    peer.command(3, 10, regionWrite(REGISTER.RAISE, Uint8Array.of(0)));
    expect(await errno(peer, 3)).toBe(0);
    expect([writes, plain.drainEventfd(event)]).toEqual([1, 1]);
    plain.close(event);
    peer.close();
  });
});

function fullEventfd(io: NativeIo): number {
  const event = io.eventfd();
  writeSync(event, new Uint8Array(BigUint64Array.of(0xffff_ffff_ffff_fffen).buffer));
  return event;
}

/** Where to serve over these system calls. */
function onLinux(io: NativeIo): ReturnType<TestIo["open"]> {
  const found = TEST_IOS.find(({ name }) => name === "on Linux");
  if (found === undefined) throw new Error("unreachable");
  return { ...found.open(), io };
}
