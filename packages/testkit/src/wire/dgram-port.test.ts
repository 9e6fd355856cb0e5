import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLinuxIo, type NativeIo } from "@vfmig/linux";
import { createFakeIo } from "@vfmig/linux/fake";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createManualClock } from "../clock/manual-clock.ts";
import { type DgramPortOptions, openDgramPort } from "./dgram-port.ts";
import type { CountingPort } from "./packet-port.ts";

let folder = "";
let undo: (() => void)[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "dgram-"));
});

afterEach(() => {
  for (const run of undo.splice(0).toReversed()) run();
  rmSync(folder, { recursive: true, force: true });
});

function open(options: Partial<DgramPortOptions> = {}): CountingPort {
  const port = openDgramPort({ local: join(folder, "a"), remote: join(folder, "b"), ...options });
  undo.push(() => port.close());
  return port;
}

/** The other end, in the test's hands; it sends from its path as QEMU does. */
function peer(io: NativeIo, path = join(folder, "b")) {
  const fd = io.datagramSocket(path);
  undo.push(() => io.close(fd));
  const into = new Uint8Array(70_000);
  return {
    fd,
    send: (bytes: Uint8Array, to = join(folder, "a")) =>
      io.sendDatagram(fd, bytes, 0, bytes.length, to),
    take(): number[] | undefined {
      const length = io.receiveDatagram(fd, into, 0, into.length);
      return length < 0 ? undefined : [...into.subarray(0, length)];
    },
  };
}

const frameOf = (value: number, length = 60): Uint8Array<ArrayBuffer> =>
  new Uint8Array(length).fill(value);

/** Frames that arrive until there are `count` of them. */
async function arrivals(
  port: CountingPort,
  count: number,
  cause: () => void | Promise<void>,
): Promise<number[][]> {
  const got: number[][] = [];
  const all = Promise.withResolvers<undefined>();
  port.attach((frame) => {
    if (got.push([...frame]) === count) all.resolve(undefined);
    return "accepted";
  });
  await cause();
  await all.promise;
  return got;
}

describe("a wire over datagrams, on Linux", () => {
  test("carries frames both ways, one in each datagram", async () => {
    const port = open();
    const other = peer(createLinuxIo());
    const got = await arrivals(port, 2, () => {
      other.send(frameOf(1, 60));
      other.send(frameOf(2, 16_384));
    });
    expect(got).toEqual([[...frameOf(1)], [...frameOf(2, 16_384)]]);
    port.transmit(frameOf(3, 14));
    port.transmit(frameOf(4, 9000));
    expect([other.take(), other.take()]).toEqual([[...frameOf(3, 14)], [...frameOf(4, 9000)]]);
    expect(port.counters).toMatchObject({ received: 2, sent: 2 });
  });

  test("joins two ports of ours", async () => {
    const a = open();
    const b = open({ local: join(folder, "b"), remote: join(folder, "a") });
    const got = await arrivals(b, 1, () => a.transmit(frameOf(5)));
    expect(got).toEqual([[...frameOf(5)]]);
  });

  test("drops what is no frame, and goes on", async () => {
    const port = open();
    const io = createLinuxIo();
    const other = peer(io);
    const got = await arrivals(port, 1, () => {
      other.send(frameOf(1, 1));
      other.send(frameOf(1, 13));
      other.send(frameOf(1, 16_385));
      other.send(frameOf(1, 65_536));
      other.send(frameOf(2));
    });
    expect(got).toEqual([[...frameOf(2)]]);
    port.transmit(frameOf(1, 13));
    port.transmit(frameOf(1, 0));
    port.transmit(frameOf(1, 16_385));
    expect(other.take()).toBeUndefined();
    expect(port.counters).toMatchObject({ received: 1, sent: 0, runts: 4, oversize: 3 });
  });

  test("starts before its peer, and finds it again where it was replaced", () => {
    const port = open();
    port.transmit(frameOf(1));
    const first = createLinuxIo();
    const fd = first.datagramSocket(join(folder, "b"));
    port.transmit(frameOf(2));
    first.close(fd);
    port.transmit(frameOf(3));
    rmSync(join(folder, "b"));
    port.transmit(frameOf(4));
    const second = peer(createLinuxIo());
    port.transmit(frameOf(5));
    expect([second.take(), second.take()]).toEqual([[...frameOf(5)], undefined]);
    expect(port.counters).toMatchObject({ sent: 2, absent: 3 });
  });

  test("replaces the socket of a dead process, but no socket in use and no file", () => {
    const path = join(folder, "a");
    const io = createLinuxIo();
    io.close(io.datagramSocket(path));
    open();
    expect(() => open()).toThrow(expect.objectContaining({ code: "ERR_VFMIG_WIRE_PORT" }));
    const file = join(folder, "file");
    writeFileSync(file, "precious");
    expect(() => open({ local: file })).toThrow(
      expect.objectContaining({ code: "ERR_VFMIG_WIRE_PORT" }),
    );
    expect(existsSync(file)).toBe(true);
  });

  test("lets only this user send, and leaves nothing behind", () => {
    const path = join(folder, "a");
    const port = open();
    expect(statSync(path).mode & 0o777).toBe(0o600);
    port.close();
    port.close();
    expect(existsSync(path)).toBe(false);
    port.transmit(frameOf(1));
  });

  test("does not remove a socket that another process has put in its place", () => {
    const port = open();
    rmSync(join(folder, "a"));
    peer(createLinuxIo(), join(folder, "a"));
    port.close();
    expect(existsSync(join(folder, "a"))).toBe(true);
  });

  test("cannot be its own other end", () => {
    expect(() => open({ remote: join(folder, "a") })).toThrow(/hear itself/u);
  });
});

describe("a wire over datagrams to a peer that does not read", () => {
  function slow() {
    const io = createFakeIo();
    const clock = createManualClock();
    const port = open({ io, clock });
    return { port, clock, other: peer(io) };
  }

  test("keeps frames in order until the peer goes on", () => {
    const { port, clock, other } = slow();
    for (let value = 0; value < 200; value++) port.transmit(frameOf(value));
    expect(port.counters.sent).toBeLessThan(200);
    const got: number[] = [];
    for (let turn = 0; turn < 100; turn++) {
      for (let frame = other.take(); frame !== undefined; frame = other.take()) {
        got.push(frame[0] ?? -1);
      }
      clock.advance(1);
    }
    expect(got).toEqual(Array.from({ length: 200 }, (_, value) => value));
    expect(port.counters).toMatchObject({ sent: 200, full: 0 });
  });

  test("drops and counts what does not fit, and needs no more turns than one a millisecond", () => {
    const { port, clock, other } = slow();
    const frames = 10_000;
    for (let count = 0; count < frames; count++) port.transmit(frameOf(1));
    const { sent, full } = port.counters;
    expect(full).toBe(frames - sent - 4096);
    clock.advance(500);
    expect(port.counters.full).toBe(full);
    while (port.counters.sent < frames - full) {
      while (other.take() !== undefined);
      clock.advance(1);
    }
    expect(port.counters.sent).toBe(frames - full);
  });

  test("lets no frame overtake those that wait, though there is room again", () => {
    const { port, clock, other } = slow();
    for (let value = 0; value < 20; value++) port.transmit(frameOf(value));
    const got: number[] = [];
    const take = (): void => void got.push(other.take()?.[0] ?? -1);
    take();
    take();
    port.transmit(frameOf(20));
    for (let left = 19; left > 0; left--) {
      clock.advance(1);
      take();
    }
    expect(got).toEqual(Array.from({ length: 21 }, (_, value) => value));
  });

  test("drops what nobody has wanted for a second, and no sooner", () => {
    const { port, clock, other } = slow();
    for (let value = 0; value < 100; value++) port.transmit(frameOf(value));
    const { sent } = port.counters;
    clock.advance(999);
    expect(port.counters.full).toBe(0);
    clock.advance(10);
    expect(port.counters).toMatchObject({ sent, full: 100 - sent });
    while (other.take() !== undefined);
    port.transmit(frameOf(200));
    expect(other.take()?.[0]).toBe(200);
  });

  test("forgets what waits when the peer is gone", () => {
    const { port, clock } = slow();
    for (let count = 0; count < 100; count++) port.transmit(frameOf(1));
    const { sent } = port.counters;
    undo.pop()?.();
    clock.advance(10);
    expect(port.counters).toMatchObject({ sent, absent: 100 - sent });
  });

  test("tries no more once it is closed", () => {
    const { port, clock } = slow();
    for (let count = 0; count < 100; count++) port.transmit(frameOf(1));
    const { sent } = port.counters;
    port.close();
    clock.advance(10);
    expect(port.counters.sent).toBe(sent);
  });
});

test("any datagrams give the device the frames among them, in order", async () => {
  const datagram = fc.oneof(
    fc.uint8Array({ minLength: 1, maxLength: 80 }),
    fc.integer({ min: 1, max: 70_000 }).map((length) => frameOf(length, length)),
  );
  const io = createFakeIo();
  const port = open({ io });
  const other = peer(io);
  await fc.assert(
    fc.asyncProperty(fc.array(datagram, { maxLength: 8 }), async (datagrams) => {
      const end = frameOf(0xee, 77);
      const frames = [...datagrams, end].filter(({ length }) => length >= 14 && length <= 16_384);
      const got = await arrivals(port, frames.length, async () => {
        for (const each of [...datagrams, end]) {
          // oxlint-disable-next-line no-await-in-loop -- the peer has to wait for room
          while (other.send(each) === -1) await new Promise((resolve) => setImmediate(resolve));
        }
      });
      expect(got).toEqual(frames.map((frame) => [...frame]));
    }),
    { numRuns: 60 },
  );
});
