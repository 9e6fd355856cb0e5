/**
 * Frames a second through each model, in one process: 64 and 1,500 bytes, 1 and 4 queues, Rx and Tx.
 * Beside each a floor of the same run: the same bytes copied, and as many descriptor words read and
 * written, with nothing of a network card in between. Rx frames are UDP with right checksums.
 *
 * Run: node packages/testkit/bench/model-frames.bench.ts [--json] [--runs=N] [--frames=N]
 */
import type { Clock } from "@vfmig/core";
import { RX_DESCRIPTOR_SIZE } from "@vfmig/iavf";
import {
  createE810VfModel,
  createI40eVfModel,
  createManualClock,
  type ManualClock,
  type VfModel,
  type WirePort,
} from "@vfmig/testkit";
import {
  ethernet,
  ipv4,
  transport,
  withL4Checksum,
} from "../src/models/intel-vf/testing/frames.ts";
import { machine, type Spread, spread } from "./figures.ts";
import { BATCH, MeasuredDriver, RING } from "./measured-driver.ts";
import { type Direction, measureFloor } from "./model-floor.ts";
import { benchOptions } from "./options.ts";
import { profileParts, type PartShares } from "./profile-parts.ts";

const { json, runs, frames } = benchOptions({ runs: 7, frames: 200_000 });

const MAC = "02:00:00:00:00:0a";
const PEER = "02:00:00:00:00:0b";
const UDP = 17;

interface Result {
  readonly model: string;
  readonly direction: Direction;
  readonly bytes: number;
  readonly queues: number;
  /** Million frames a second. */
  readonly mfps: Spread;
  readonly gbitPerSecond: number;
  readonly nsPerFrame: number;
  readonly floorNsPerFrame: number;
  readonly ratio: number;
  readonly parts: PartShares;
}

type Receive = Parameters<WirePort["attach"]>[0];

/** One model with its driver, and frames for each of its queues. */
interface Bench {
  readonly clock: ManualClock;
  readonly driver: MeasuredDriver;
  readonly receive: Receive;
  readonly sent: () => number;
  /** Frames that the model's hash brings to queue n. */
  readonly inward: readonly Uint8Array[];
  /** Rx descriptors that each queue has used up so far. */
  readonly heads: readonly number[];
}

const models: Readonly<Record<string, (port: WirePort, clock: Clock) => VfModel>> = {
  "i40e-vf": (port, clock) => createI40eVfModel({ name: "vf0", mac: MAC, vsiId: 7, port, clock }),
  "e810-vf": (port, clock) => createE810VfModel({ name: "vf0", mac: MAC, port, clock }),
};

function createBench(model: string, queues: number, bytes: number): Bench {
  const clock = createManualClock();
  let receive: Receive = () => "queue-disabled";
  let count = 0;
  const port: WirePort = {
    transmit: () => void count++,
    attach: (handler) => void (receive = handler),
    close: () => undefined,
  };
  const make = models[model];
  if (make === undefined) throw new Error(`no model ${model}`);
  const { device } = make(port, clock);
  const driver = new MeasuredDriver(device, clock, queues);
  for (let queue = 0; queue < queues; queue++) {
    for (let index = 0; index < RING; index++) {
      driver.memory.set(udpFrame(bytes, 1000 + queue, true), driver.layout.txBuffer(queue, index));
    }
  }
  const deliver: Receive = (frame) => receive(frame);
  const found = framesByQueue(driver, deliver, queues, bytes);
  return { clock, driver, receive: deliver, sent: () => count, ...found };
}

/** Tries source ports until each queue has a frame: the ring that was written back tells where one went. */
function framesByQueue(
  driver: MeasuredDriver,
  receive: Receive,
  queues: number,
  bytes: number,
): Pick<Bench, "inward" | "heads"> {
  const inward: Uint8Array[] = [];
  const heads = Array.from({ length: queues }, () => 0);
  for (let port = 1000; inward.filter(Boolean).length < queues; port++) {
    const frame = udpFrame(bytes, port, false);
    for (let queue = 0; queue < queues; queue++) {
      driver.post(queue, 0, RING);
      driver.rxTail(queue, RING - 1);
    }
    if (port > 1400 || receive(frame) !== "accepted") throw new Error("no frame for some queue");
    const queue = heads.findIndex((head, index) => isWritten(driver, index, head));
    heads[queue] = (heads[queue] ?? 0) + 1;
    inward[queue] ??= frame;
  }
  return { inward, heads };
}

function isWritten(driver: MeasuredDriver, queue: number, index: number): boolean {
  const place = driver.layout.rxRing(queue) + index * RX_DESCRIPTOR_SIZE;
  return (driver.data.getUint32(place + 8, true) & 1) === 1;
}

/** An Ethernet frame of `bytes` with a UDP packet whose checksums are right. */
function udpFrame(bytes: number, port: number, outward: boolean): Uint8Array {
  const [to, from] = outward ? [PEER, MAC] : [MAC, PEER];
  const payload = Uint8Array.from({ length: bytes - 42 }, (_, at) => (at + 42) & 0xff);
  const packet = ipv4(UDP, transport(UDP, payload, port));
  return ethernet(to, from, 0x0800, withL4Checksum(packet, 20, UDP));
}

/** Nanoseconds a frame of the device's work alone: what the driver writes is not counted. */
function measureRx({ driver, receive, inward }: Bench, total: number, at: number[]): number {
  let spent = 0;
  let done = 0;
  while (done < total) {
    for (let queue = 0; queue < inward.length; queue++) {
      // Two steps of the tail more than the batch needs.
      driver.post(queue, at[queue] ?? 0, BATCH + 16);
      driver.rxTail(queue, ((at[queue] ?? 0) + BATCH + 16) % RING);
      driver.arm(queue + 1);
    }
    const start = performance.now();
    for (let n = 0; n < BATCH; n++) {
      for (const frame of inward) if (receive(frame) !== "accepted") throw new Error("refused");
    }
    spent += performance.now() - start;
    for (let queue = 0; queue < inward.length; queue++) at[queue] = (at[queue] ?? 0) + BATCH;
    done += BATCH * inward.length;
  }
  return (spent * 1e6) / done;
}

function measureTx(bench: Bench, bytes: number, total: number, at: number[]): number {
  const { clock, driver, inward, sent } = bench;
  let spent = 0;
  let done = 0;
  while (done < total) {
    for (let queue = 0; queue < inward.length; queue++) {
      driver.fill(queue, at[queue] ?? 0, BATCH, bytes);
      driver.arm(queue + 1);
      at[queue] = (at[queue] ?? 0) + BATCH;
    }
    const before = sent();
    const start = performance.now();
    for (let queue = 0; queue < inward.length; queue++)
      driver.txTail(queue, (at[queue] ?? 0) % RING);
    clock.runSoon();
    spent += performance.now() - start;
    if (sent() - before !== BATCH * inward.length) throw new Error("frames were not sent");
    done += BATCH * inward.length;
  }
  return (spent * 1e6) / done;
}

async function measure(
  model: string,
  direction: Direction,
  bytes: number,
  queues: number,
): Promise<Result> {
  const bench = createBench(model, queues, bytes);
  const at = direction === "rx" ? bench.heads.slice() : Array.from({ length: queues }, () => 0);
  const once = (total: number): number =>
    direction === "rx" ? measureRx(bench, total, at) : measureTx(bench, bytes, total, at);
  const own: number[] = [];
  const floor: number[] = [];
  // The first of each warms up the compiler.
  for (let run = 0; run <= runs; run++) {
    own.push(once(frames));
    floor.push(measureFloor(bench, direction, bytes, frames));
  }
  const ns = spread(own.slice(1));
  const floorNs = spread(floor.slice(1)).median;
  return {
    model,
    direction,
    bytes,
    queues,
    mfps: { median: 1000 / ns.median, min: 1000 / ns.max, max: 1000 / ns.min },
    gbitPerSecond: (8 * bytes) / ns.median,
    nsPerFrame: ns.median,
    floorNsPerFrame: floorNs,
    ratio: ns.median / floorNs,
    parts: await profileParts(() => void once(2 * frames)),
  };
}

const results: Result[] = [];
for (const model of Object.keys(models)) {
  for (const direction of ["rx", "tx"] as const) {
    for (const bytes of [64, 1500]) {
      for (const queues of [1, 4]) results.push(await measure(model, direction, bytes, queues));
    }
  }
}

const { cpu = "unknown", node } = machine();
if (json) {
  console.log(JSON.stringify({ benchmark: "model-frames", cpu, node, runs, results }));
} else {
  console.log(`${cpu}, node ${node}, medians of ${runs} runs of ${frames} frames`);
  const rows = results.map((result) => ({
    model: result.model,
    way: result.direction,
    bytes: result.bytes,
    queues: result.queues,
    "Mframes/s": result.mfps.median.toFixed(2),
    "min-max": `${result.mfps.min.toFixed(2)}-${result.mfps.max.toFixed(2)}`,
    "Gbit/s": result.gbitPerSecond.toFixed(1),
    "ns/frame": result.nsPerFrame.toFixed(0),
    "floor ns": result.floorNsPerFrame.toFixed(0),
    ratio: result.ratio.toFixed(1),
  }));
  console.table(rows);
  for (const { model, direction, bytes, queues, parts } of results) {
    const shares = Object.entries(parts).map(([name, percent]) => `${name} ${percent}`);
    console.log(`${model} ${direction} ${bytes} x${queues}, percent: ${shares.join(", ")}`);
  }
}
