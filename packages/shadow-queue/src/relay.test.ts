import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { GuestMemory, MemorySpan } from "@vfmig/core";
import { PROGRESS, type RelayFault, type RingCodec, RingRelay, SLOT } from "./index.ts";

const BASE = 0x10_0000;
const SIZE = 0x10_0000;
const RING = BASE;
const BUFFERS = BASE + 0x1_0000;
const BUFFER = 256;

/** Guest memory of one mapping, and the truth about what was written to it. */
class Memory implements GuestMemory {
  readonly bytes: Uint8Array = new Uint8Array(SIZE);
  readonly data: DataView = new DataView(this.bytes.buffer);
  mapped = true;
  readonly #span: MemorySpan = { base: BASE, size: SIZE, bytes: this.bytes, data: this.data };

  find(iova: number, length: number): MemorySpan | undefined {
    const inside = iova >= BASE && iova + length <= BASE + SIZE;
    return this.mapped && inside ? this.#span : undefined;
  }
  span(iova: number, length: number): MemorySpan {
    const found = this.find(iova, length);
    if (found === undefined) {
      throw new Error(`hole at ${iova}`);
    }
    return found;
  }
  read(): void {}
  write(): void {}
}

/** A format of 16 bytes: address u32, length u32, flags u32 (LAST 1, ASK 2, DONE 4), stamp u32. */
function codec(deviceWrites: boolean): RingCodec {
  const DONE = 4;
  const BROKEN = 8;
  return {
    descriptorSize: 16,
    deviceWrites,
    forward(from, fromOffset, to, toOffset) {
      const flags = from.getUint32(fromOffset + 8, true) & 3;
      to.setUint32(toOffset, from.getUint32(fromOffset, true), true);
      to.setUint32(toOffset + 4, from.getUint32(fromOffset + 4, true), true);
      to.setUint32(toOffset + 8, flags, true);
      to.setUint32(toOffset + 12, from.getUint32(fromOffset + 12, true), true);
      const asked = deviceWrites || (flags & 2) !== 0 ? SLOT.REPORTED : 0;
      return asked | ((flags & 1) !== 0 ? SLOT.LAST : 0);
    },
    address: (data, offset) => data.getUint32(offset, true),
    length: (data, offset) => data.getUint32(offset + 4, true),
    progress(data, offset, slot) {
      const flags = data.getUint32(offset + 8, true);
      if (deviceWrites) {
        return (flags & DONE) === 0
          ? PROGRESS.PENDING
          : (flags & 1) === 0
            ? PROGRESS.PART
            : PROGRESS.FRAME;
      }
      if ((slot & SLOT.LAST) === 0) {
        return PROGRESS.PART;
      }
      return (flags & DONE) === 0 ? PROGRESS.PENDING : PROGRESS.FRAME;
    },
    written: (data, offset) => (deviceWrites ? data.getUint32(offset + 4, true) : 0),
    writeBack(from, fromOffset, to, toOffset) {
      to.setUint32(toOffset + 4, from.getUint32(fromOffset + 4, true), true);
      to.setUint32(toOffset + 12, from.getUint32(fromOffset + 12, true), true);
      to.setUint32(toOffset + 8, from.getUint32(fromOffset + 8, true), true);
    },
    discard(to, offset) {
      to.setUint32(offset + 4, 1, true);
      to.setUint32(offset + 8, DONE | BROKEN | 1, true);
    },
    own(to, offset, address, length) {
      to.setUint32(offset, address, true);
      to.setUint32(offset + 4, length, true);
      to.setUint32(offset + 8, 1, true);
      to.setUint32(offset + 12, 0xffff_ffff, true);
      return SLOT.LAST;
    },
  };
}

class Bench {
  readonly memory: Memory = new Memory();
  readonly ring: DataView;
  readonly dirty: { iova: number; length: number }[] = [];
  readonly faults: RelayFault[] = [];
  readonly relay: RingRelay;
  readonly guestCount: number;
  deviceHead = 0;
  deviceTail = 0;
  posted = 0;

  constructor(deviceWrites: boolean, guestCount = 16, ringCount = guestCount) {
    this.guestCount = guestCount;
    this.ring = new DataView(new ArrayBuffer(ringCount * 16));
    this.relay = new RingRelay({
      codec: codec(deviceWrites),
      memory: this.memory,
      dirty: { set: (iova, length) => this.dirty.push({ iova, length }) },
      guest: { base: RING, count: guestCount },
      ring: { data: this.ring, count: ringCount },
      doorbell: (tail) => {
        this.deviceTail = tail;
      },
      onFault: (fault) => this.faults.push(fault),
    });
  }

  /** The guest posts one descriptor at `slot`. */
  post(slot: number, stamp: number, flags = 3, address = BUFFERS + slot * BUFFER): void {
    const at = RING - BASE + slot * 16;
    this.memory.data.setUint32(at, address, true);
    this.memory.data.setUint32(at + 4, BUFFER, true);
    this.memory.data.setUint32(at + 8, flags, true);
    this.memory.data.setUint32(at + 12, stamp, true);
  }

  guestFlags(slot: number): number {
    return this.memory.data.getUint32(RING - BASE + slot * 16 + 8, true);
  }

  /** The device takes its next slot and finishes it; undefined where it has none. */
  finish(last: boolean, length = 60): number | undefined {
    const count = this.ring.byteLength / 16;
    if (this.deviceHead === this.deviceTail) {
      return undefined;
    }
    const at = this.deviceHead * 16;
    this.deviceHead = (this.deviceHead + 1) % count;
    this.ring.setUint32(at + 4, length, true);
    this.ring.setUint32(at + 8, 4 | (last ? 1 : 0), true);
    return this.ring.getUint32(at + 12, true);
  }
}

describe("a relay towards the device", () => {
  test("starts the device at 0 wherever the guest stands, and tells the guest at its own slot", () => {
    const bench = new Bench(false);
    bench.post(13, 1);
    bench.post(14, 2);
    bench.relay.start({ complete: 13, tail: 13 });
    expect(bench.relay.kick(15)).toBe(true);
    expect(bench.deviceTail).toBe(2);
    expect([bench.finish(true), bench.finish(true)]).toEqual([1, 2]);
    expect(bench.relay.complete()).toBe(2);
    expect(bench.guestFlags(13) & 4).toBe(4);
    expect(bench.relay.position).toEqual({ complete: 15, tail: 15 });
    expect(bench.relay.idle).toBe(true);
  });

  test("leaves the slots of a guest that did not ask untouched and still knows its position", () => {
    const bench = new Bench(false);
    bench.post(0, 1, 0);
    bench.post(1, 2, 1);
    bench.relay.start({ complete: 0, tail: 2 });
    bench.relay.forward();
    bench.finish(true);
    expect(bench.relay.complete()).toBe(0);
    bench.finish(true);
    expect(bench.relay.complete()).toBe(2);
    expect(bench.guestFlags(1)).toBe(1);
    expect(bench.dirty).toEqual([]);
  });

  test("sends a frame of its owner before the guest's and completes no slot of the guest for it", () => {
    const bench = new Bench(false);
    bench.post(5, 7);
    bench.relay.start({ complete: 5, tail: 6 });
    expect(bench.relay.inject(0x1234, 42)).toBe(true);
    bench.relay.forward();
    expect(bench.finish(true)).toBe(0xffff_ffff);
    expect(bench.relay.complete()).toBe(0);
    expect(bench.relay.position.complete).toBe(5);
    expect(bench.finish(true)).toBe(7);
    expect(bench.relay.complete()).toBe(1);
    expect(bench.relay.counters).toEqual({ forwarded: 1, completed: 1, own: 1, faults: 0 });
  });

  test("keeps back what a smaller private ring has no room for, and brings it later", () => {
    const bench = new Bench(false, 16, 4);
    for (let slot = 0; slot < 6; slot++) {
      bench.post(slot, slot);
    }
    bench.relay.start({ complete: 0, tail: 0 });
    bench.relay.kick(6);
    const seen: (number | undefined)[] = [];
    for (let round = 0; round < 6; round++) {
      seen.push(bench.finish(true));
      bench.relay.complete();
    }
    expect(seen).toEqual([0, 1, 2, 3, 4, 5]);
  });

  test("forwards again, from the first slot that no device finished, after a stop", () => {
    const bench = new Bench(false);
    for (let slot = 0; slot < 4; slot++) {
      bench.post(slot, slot + 1);
    }
    bench.relay.start({ complete: 0, tail: 4 });
    bench.relay.forward();
    bench.finish(true);
    bench.relay.pause();
    bench.relay.complete();
    const { position } = bench.relay;
    expect(position).toEqual({ complete: 1, tail: 4 });
    bench.deviceHead = 0;
    bench.relay.start(position);
    expect(bench.relay.forward()).toBe(3);
    expect(bench.finish(true)).toBe(2);
  });
});

describe("a relay from the device", () => {
  test("holds a frame back until its last buffer is done, then brings it whole", () => {
    const bench = new Bench(true);
    bench.relay.start({ complete: 0, tail: 0 });
    for (let slot = 0; slot < 15; slot++) {
      bench.post(slot, slot, 0);
    }
    bench.relay.kick(15);
    bench.finish(false);
    expect(bench.relay.complete()).toBe(0);
    expect(bench.guestFlags(0)).toBe(0);
    bench.finish(true);
    expect(bench.relay.complete()).toBe(2);
    expect(bench.guestFlags(0) & 4).toBe(4);
    expect(bench.guestFlags(1) & 5).toBe(5);
  });

  test("marks the bytes that were written and the slot, and at a stop all that is still posted", () => {
    const bench = new Bench(true);
    bench.relay.start({ complete: 0, tail: 0 });
    for (let slot = 0; slot < 3; slot++) {
      bench.post(slot, slot, 0);
    }
    bench.relay.kick(3);
    bench.finish(true, 60);
    bench.relay.complete();
    expect(bench.dirty).toEqual([
      { iova: BUFFERS, length: 60 },
      { iova: RING, length: 16 },
    ]);
    bench.dirty.length = 0;
    bench.relay.markPosted();
    expect(bench.dirty).toEqual([
      { iova: BUFFERS + BUFFER, length: BUFFER },
      { iova: BUFFERS + 2 * BUFFER, length: BUFFER },
    ]);
  });

  test.each([0, BUFFER + 1, 0xffff_ffff])(
    "marks the whole posted buffer where the device claims %i bytes",
    (claimed) => {
      const bench = new Bench(true);
      bench.post(0, 0, 0);
      bench.relay.start({ complete: 0, tail: 1 });
      bench.relay.forward();
      bench.finish(true, claimed);
      bench.relay.complete();
      expect(bench.dirty[0]).toEqual({ iova: BUFFERS, length: BUFFER });
    },
  );
});

describe("a hostile guest", () => {
  test("cannot move the tail out of the ring or behind what the device holds", () => {
    const bench = new Bench(false);
    for (let slot = 0; slot < 8; slot++) {
      bench.post(slot, slot);
    }
    bench.relay.start({ complete: 0, tail: 0 });
    bench.relay.kick(8);
    for (const tail of [16, -1, 1.5, Number.NaN, 4, 0]) {
      expect(bench.relay.kick(tail)).toBe(false);
    }
    expect(bench.relay.position).toEqual({ complete: 0, tail: 8 });
    expect(bench.faults.map((fault) => fault.kind)).toEqual(["tail-range"]);
  });

  test("cannot have a buffer outside its memory reached; the queue waits at that slot", () => {
    const bench = new Bench(false);
    bench.post(0, 1);
    bench.post(1, 2, 3, 0x8000_0000);
    bench.relay.start({ complete: 0, tail: 2 });
    expect(bench.relay.forward()).toBe(1);
    expect(bench.faults).toEqual([
      { kind: "buffer-unreachable", slot: 1, address: 0x8000_0000, length: BUFFER },
    ]);
    bench.post(1, 2);
    expect(bench.relay.forward()).toBe(1);
  });

  test("loses nothing when its ring is unmapped for a while", () => {
    const bench = new Bench(true);
    bench.post(0, 0, 0);
    bench.relay.start({ complete: 0, tail: 1 });
    bench.relay.forward();
    bench.finish(true);
    bench.memory.mapped = false;
    expect(bench.relay.complete()).toBe(0);
    bench.memory.mapped = true;
    expect(bench.relay.complete()).toBe(1);
  });

  test("cannot have a ring relayed that does not fit", () => {
    for (const [base, count] of [
      [RING + 8, 16],
      [RING, 1],
      [RING, 9000],
      [Number.NaN, 16],
    ] as const) {
      expect(
        () =>
          new RingRelay({
            codec: codec(false),
            memory: new Memory(),
            dirty: { set() {} },
            guest: { base, count },
            ring: { data: new DataView(new ArrayBuffer(256)), count: 16 },
            doorbell() {},
          }),
      ).toThrow(expect.objectContaining({ code: "ERR_VFMIG_SHADOW_RING" }));
    }
    const bench = new Bench(false);
    expect(() => bench.relay.start({ complete: 16, tail: 0 })).toThrow(
      expect.objectContaining({ code: "ERR_VFMIG_RING_POSITION" }),
    );
  });
});

/** A guest and a device that act at random, and what the device saw. */
class Traffic {
  readonly bench: Bench;
  readonly seen: number[] = [];
  readonly refused: boolean[] = [];
  #tail: number;
  #stamp = 1;
  #consumed = 0;

  constructor(first: number, ringCount: number) {
    this.bench = new Bench(false, 16, ringCount);
    this.#tail = first;
    this.bench.relay.start({ complete: first, tail: first });
  }

  post(parts: number): void {
    const used = (this.#tail - this.bench.relay.position.complete + 16) % 16;
    if (used + parts > 15) {
      return;
    }
    for (let part = 0; part < parts; part++) {
      this.bench.post(this.#tail, this.#stamp++, part === parts - 1 ? 3 : 0);
      this.#tail = (this.#tail + 1) % 16;
    }
    this.refused.push(!this.bench.relay.kick(this.#tail));
  }

  device(slots: number): void {
    for (let n = 0; n < slots; n++) {
      const stamp = this.bench.finish(true);
      if (stamp !== undefined) {
        this.seen.push(stamp);
      }
    }
  }

  relay(): void {
    this.#consumed += this.bench.relay.complete();
  }

  /** A tail that no guest could mean. */
  hostileTail(tail: number): void {
    this.refused.push(this.bench.relay.kick(tail < 0 ? tail : tail + 16));
  }

  /** The queue stops and starts; the device forgets what no completion told of. */
  restart(): void {
    this.bench.relay.pause();
    this.relay();
    this.bench.deviceHead = 0;
    this.bench.deviceTail = 0;
    this.bench.relay.start(this.bench.relay.position);
    this.seen.length = this.#consumed;
    this.bench.relay.forward();
  }
}

describe("any interleaving", () => {
  test("brings every frame once, in order and whole, over stops, wraps and restarts", () => {
    const step = fc.tuple(
      fc.constantFrom("post", "device", "relay", "hostileTail", "restart"),
      fc.integer({ min: 1, max: 3 }),
    );
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 15 }),
        fc.integer({ min: 4, max: 20 }),
        fc.array(step, { maxLength: 300 }),
        (first, ringCount, steps) => {
          const traffic = new Traffic(first, ringCount);
          for (const [kind, count] of steps) {
            traffic[kind](count);
            expect(traffic.bench.relay.outstanding).toBeLessThan(ringCount);
          }
          expect(traffic.refused).not.toContain(true);
          expect(traffic.seen).toEqual(traffic.seen.map((_, index) => index + 1));
        },
      ),
      { numRuns: 300 },
    );
  });

  test("never breaks on a private ring full of anything", () => {
    fc.assert(
      fc.property(
        fc.boolean(),
        fc.array(fc.integer({ min: 0, max: 0xffff_ffff }), { minLength: 64, maxLength: 64 }),
        fc.array(fc.integer({ min: 0, max: 31 }), { maxLength: 40 }),
        (deviceWrites, words, tails) => {
          const bench = new Bench(deviceWrites);
          for (let slot = 0; slot < 16; slot++) {
            bench.post(slot, slot);
          }
          bench.relay.start({ complete: 3, tail: 3 });
          for (const tail of tails) {
            bench.relay.kick(tail);
            for (const [index, word] of words.entries()) {
              bench.ring.setUint32(index * 4, word, true);
            }
            bench.relay.complete();
            bench.relay.markPosted();
            expect(bench.relay.outstanding).toBeLessThan(16);
          }
          for (const { iova, length } of bench.dirty) {
            expect(iova >= BASE && iova + length <= BASE + SIZE).toBe(true);
          }
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe("a relay that is to give its ring back", () => {
  /** Slots `from` to the end and `beyond` of the next lap, all posted. */
  function posted(from: number, beyond: number): Bench {
    const bench = new Bench(true);
    for (let slot = 0; slot < 16; slot++) {
      bench.post(slot, slot);
    }
    bench.relay.start({ complete: from, tail: from });
    bench.relay.holdAtWrap(true);
    bench.relay.kick(beyond);
    return bench;
  }

  test("gives the device nothing behind the end of the guest's ring, and tells how far it is", () => {
    const bench = posted(12, 3);
    expect(bench.deviceTail).toBe(4);
    expect(bench.relay.toWrap).toBe(4);
    bench.finish(true);
    bench.finish(true);
    bench.relay.complete();
    expect(bench.relay.toWrap).toBe(2);
    bench.finish(true);
    bench.finish(true);
    bench.relay.complete();
    expect(bench.relay.toWrap).toBe(0);
    expect(bench.relay.position).toEqual({ complete: 0, tail: 3 });
    expect(bench.finish(true)).toBeUndefined();
  });

  test("goes on where it waited once it is let go", () => {
    const bench = posted(14, 3);
    bench.relay.holdAtWrap(false);
    expect(bench.deviceTail).toBe(5);
    expect(bench.relay.toWrap).toBe(-1);
  });

  test("lets a frame that lies across the end wait as a whole", () => {
    const bench = posted(15, 3);
    bench.finish(false);
    bench.relay.complete();
    expect(bench.relay.toWrap).toBe(1);
    expect(bench.guestFlags(15) & 4).toBe(0);
    bench.relay.holdAtWrap(false);
    bench.finish(true);
    expect(bench.relay.complete()).toBe(2);
    expect(bench.relay.position.complete).toBe(1);
  });

  test("ends the slots that are left as broken frames", () => {
    const bench = posted(12, 3);
    bench.finish(true);
    bench.relay.complete();
    bench.relay.start(bench.relay.position);
    bench.relay.pause();
    bench.relay.discard(3);
    expect(bench.relay.position).toEqual({ complete: 0, tail: 3 });
    expect([12, 13, 14, 15].map((slot) => bench.guestFlags(slot))).toEqual([5, 13, 13, 13]);
    expect(bench.dirty.slice(-3).map(({ iova }) => (iova - RING) / 16)).toEqual([13, 14, 15]);
  });

  test("ends a slot that is not posted yet before it forwards anything behind it", () => {
    const bench = new Bench(true);
    bench.relay.start({ complete: 5, tail: 5 });
    bench.relay.discard(2);
    expect(bench.relay.owed).toBe(2);
    bench.post(5, 5);
    bench.relay.kick(6);
    expect([bench.relay.owed, bench.deviceTail]).toEqual([1, 0]);
    bench.post(6, 6);
    bench.post(7, 7);
    bench.relay.kick(8);
    expect([bench.relay.owed, bench.deviceTail]).toEqual([0, 1]);
    expect(bench.finish(true)).toBe(7);
    expect([bench.guestFlags(5), bench.guestFlags(6)]).toEqual([13, 13]);
  });

  test("waits with a discarded slot that cannot be reached, and ends it later", () => {
    const bench = new Bench(true);
    bench.relay.start({ complete: 0, tail: 0 });
    bench.relay.discard(1);
    bench.memory.mapped = false;
    bench.relay.kick(2);
    expect(bench.relay.owed).toBe(1);
    expect(bench.faults[0]?.kind).toBe("ring-unreachable");
    bench.memory.mapped = true;
    bench.relay.forward();
    expect(bench.relay.owed).toBe(0);
  });
});
