/**
 * What one descriptor costs on its way through a relay and back, beside the floor: the same bytes
 * copied from ring to ring and back with nothing decided, measured in turn with it.
 *
 * Guest memory and the dirty log are core's own, the log open. The device's side (marking
 * descriptors done) is in both figures.
 *
 * Run: node packages/shadow-queue/bench/relay.bench.ts [--json] [--runs=N]
 */
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { createDmaMap, createGuestMemory, DirtyBitmap } from "@vfmig/core";
import { PROGRESS, type RingCodec, RingRelay, SLOT } from "@vfmig/shadow-queue";

const { values: args } = parseArgs({
  options: { json: { type: "boolean" }, runs: { type: "string", default: "15" } },
});
const runs = Number(args.runs);

const COUNT = 512;
const BURST = 32;
const LAPS = 400;
const BASE = 0x1_0000_0000;
const SIZE = 16 << 20;
const BUFFERS = 1 << 20;

interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

interface Result {
  readonly ring: string;
  readonly burst: number;
  readonly relayNs: Spread;
  readonly floorNs: Spread;
  readonly ratio: number;
}

function spread(samples: readonly number[]): Spread {
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (part: number): number => sorted[Math.floor((sorted.length - 1) * part)] ?? 0;
  return { median: at(0.5), min: at(0), max: at(1) };
}

/** Formats of the size and shape of an Intel VF's; done is bit 31 of the third word. */
function codec(size: 16 | 32, deviceWrites: boolean): RingCodec {
  const DONE = 0x8000_0000;
  const copy = (from: DataView, fromAt: number, to: DataView, toAt: number): void => {
    for (let byte = 0; byte < size; byte += 4) {
      to.setUint32(toAt + byte, from.getUint32(fromAt + byte, true), true);
    }
  };
  return {
    descriptorSize: size,
    deviceWrites,
    forward(from, fromAt, to, toAt) {
      copy(from, fromAt, to, toAt);
      return SLOT.REPORTED | SLOT.LAST;
    },
    address: (data, at) => data.getUint32(at + 4, true) * 0x1_0000_0000 + data.getUint32(at, true),
    length: () => 1500,
    progress: (data, at) =>
      (data.getUint32(at + 8, true) & DONE) === 0 ? PROGRESS.PENDING : PROGRESS.FRAME,
    written: () => (deviceWrites ? 600 : 0),
    writeBack(from, fromAt, to, toAt) {
      if (deviceWrites) {
        copy(from, fromAt, to, toAt);
      } else {
        to.setUint32(toAt + 12, 0, true);
        to.setUint32(toAt + 8, DONE, true);
      }
    },
  };
}

interface Rings {
  readonly memory: Uint8Array;
  readonly guest: DataView;
  readonly device: DataView;
}

function newRings(size: number): Rings {
  const memory = new Uint8Array(SIZE);
  return {
    memory,
    guest: new DataView(memory.buffer),
    device: new DataView(new ArrayBuffer(COUNT * size)),
  };
}

/** The guest posts: an address, and the done bit cleared. */
function post(guest: DataView, at: number, slot: number): void {
  guest.setUint32(at, BUFFERS + slot * 2048, true);
  guest.setUint32(at + 4, 1, true);
  guest.setUint32(at + 8, 0, true);
}

function relayNs(size: 16 | 32, deviceWrites: boolean): number {
  const { memory, guest, device } = newRings(size);
  const map = createDmaMap();
  map.add({
    iova: BigInt(BASE),
    size: BigInt(SIZE),
    read: true,
    write: true,
    memory: { bytes: memory },
  });
  const relay = new RingRelay({
    codec: codec(size, deviceWrites),
    memory: createGuestMemory(map),
    dirty: new DirtyBitmap(),
    guest: { base: BASE, count: COUNT },
    ring: { data: device, count: COUNT },
    doorbell() {},
  });
  relay.start({ complete: 0, tail: 0 });
  let slot = 0;
  const start = performance.now();
  for (let burst = 0; burst < (LAPS * COUNT) / BURST; burst++) {
    const first = slot;
    for (let n = 0; n < BURST; n++, slot = (slot + 1) % COUNT) {
      post(guest, slot * size, slot);
    }
    relay.kick(slot);
    for (let n = 0; n < BURST; n++) {
      device.setUint32(((first + n) % COUNT) * size + 8, 0x8000_0000, true);
    }
    relay.complete();
  }
  const ns = (performance.now() - start) * 1e6;
  if (relay.counters.completed !== LAPS * COUNT) {
    throw new Error(`the relay completed ${relay.counters.completed} descriptors`);
  }
  return ns / (LAPS * COUNT);
}

function floorNs(size: 16 | 32, deviceWrites: boolean): number {
  const { guest, device } = newRings(size);
  const back = deviceWrites ? size : 8;
  let slot = 0;
  const start = performance.now();
  for (let burst = 0; burst < (LAPS * COUNT) / BURST; burst++) {
    const first = slot;
    for (let n = 0; n < BURST; n++, slot = (slot + 1) % COUNT) {
      post(guest, slot * size, slot);
    }
    for (let n = 0; n < BURST; n++) {
      const at = ((first + n) % COUNT) * size;
      for (let byte = 0; byte < size; byte += 4) {
        device.setUint32(at + byte, guest.getUint32(at + byte, true), true);
      }
    }
    for (let n = 0; n < BURST; n++) {
      device.setUint32(((first + n) % COUNT) * size + 8, 0x8000_0000, true);
    }
    for (let n = 0; n < BURST; n++) {
      const at = ((first + n) % COUNT) * size + size - back;
      for (let byte = 0; byte < back; byte += 4) {
        guest.setUint32(at + byte, device.getUint32(at + byte, true), true);
      }
    }
  }
  return ((performance.now() - start) * 1e6) / (LAPS * COUNT);
}

function measure(ring: string, size: 16 | 32, deviceWrites: boolean): Result {
  const relay: number[] = [];
  const floor: number[] = [];
  // One of each first, so that both are compiled.
  relayNs(size, deviceWrites);
  floorNs(size, deviceWrites);
  for (let run = 0; run < runs; run++) {
    floor.push(floorNs(size, deviceWrites));
    relay.push(relayNs(size, deviceWrites));
  }
  const [relaySpread, floorSpread] = [spread(relay), spread(floor)];
  return {
    ring,
    burst: BURST,
    relayNs: relaySpread,
    floorNs: floorSpread,
    ratio: relaySpread.median / floorSpread.median,
  };
}

const results = [measure("tx, 16 bytes", 16, false), measure("rx, 32 bytes", 32, true)];

if (args.json === true) {
  const machine = { cpu: cpus()[0]?.model, cpus: cpus().length, node: process.version };
  console.log(JSON.stringify({ benchmark: "relay", machine, runs, results }));
} else {
  const text = ({ median, min, max }: Spread): string =>
    `${median.toFixed(1)} (${min.toFixed(1)} to ${max.toFixed(1)})`;
  console.log(`ns per descriptor, there and back, in bursts of ${BURST}; median of ${runs} runs`);
  for (const { ring, relayNs: relay, floorNs: floor, ratio } of results) {
    console.log(
      `${ring}: relay ${text(relay)}, floor ${text(floor)}, ${ratio.toFixed(1)} times the floor`,
    );
  }
}
