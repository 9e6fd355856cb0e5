import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { VfioDevice } from "@vfmig/core";
import { createLinuxIo } from "@vfmig/linux";
import { FollowedBar } from "@vfmig/testkit/guest";
import { connectVfioUser, type VfioUserClient } from "@vfmig/vfio-user";
import type { BedCase, Figures } from "../inside/bed-case.ts";
import { DEVICES } from "../inside/devices.ts";
import type { PassedCounts, Serving } from "../native-speed/device-process.ts";
import { Echo } from "../native-speed/echo.ts";
import { EchoGuest } from "../native-speed/guest.ts";
import { HeldClock } from "../native-speed/held-clock.ts";
import { ServedDevice } from "../native-speed/served-device.ts";
import { whileStopped } from "../native-speed/while-stopped.ts";

/** On their way at once. */
const WINDOW = 32;
const WARM_UP = 200;
const LIMIT_MS = 60_000;
const PAGE = 4096;
const RAM = { iova: 0x1_0000_0000n, size: 8n << 20n };

/** How the guest's frames, registers and interrupts reach the NIC with the plugin in between. */
type Way = "direct" | "trapped" | "always";

const OPTIONS: Readonly<Record<Way, object>> = {
  direct: { shadow: "while-saving", doorbells: "direct", handBack: true, quiesceMs: 0 },
  trapped: { shadow: "while-saving", quiesceMs: 0 },
  always: { quiesceMs: 0 },
};
/** Rounds of frames each way, and single ones there and back. */
const LOAD: Readonly<Record<Way, { readonly frames: number; readonly pings: number }>> = {
  direct: { frames: 1000, pings: 200 },
  trapped: { frames: 300, pings: 100 },
  always: { frames: 300, pings: 100 },
};
const ROUNDS = 3;

interface Bench extends AsyncDisposable {
  readonly served: ServedDevice;
  readonly client: VfioUserClient;
  readonly guest: EchoGuest;
  readonly clock: HeldClock;
  readonly echo: Echo;
  /** Undefined where nothing can be mapped. */
  readonly bar: FollowedBar | undefined;
}

async function open(served: ServedDevice, serving: Serving, way: Way): Promise<Bench> {
  await using stack = new AsyncDisposableStack();
  const io = createLinuxIo();
  const { path } = serving;
  const regionFds = serving.mmap === "direct";
  const client = stack.use(await connectVfioUser({ io, path, regionFds, syncTimeoutMs: LIMIT_MS }));
  const bar = way === "direct" ? await FollowedBar.follow(client) : undefined;
  const device: VfioDevice = bar ?? client.device;
  const echo = stack.use(new Echo(io, DEVICES.lan.tap));
  const clock = new HeldClock();
  const guest = stack.use(await EchoGuest.start(io, device, clock));
  await guest.exchange(WARM_UP, WINDOW, LIMIT_MS);
  const opened = stack.move();
  const parts = { served, client, guest, clock, echo, bar };
  return { ...parts, [Symbol.asyncDispose]: async () => opened.disposeAsync() };
}

interface Speed {
  readonly framesPerSecond: readonly number[];
  readonly roundTripMs: number;
}

async function run(way: Way, guest: EchoGuest): Promise<Speed> {
  const { frames, pings } = LOAD[way];
  const framesPerSecond: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    framesPerSecond.push(frames / (await guest.exchange(frames, WINDOW, LIMIT_MS)).seconds);
  }
  const { roundTripsMs } = await guest.exchange(pings, 1, LIMIT_MS);
  return { framesPerSecond, roundTripMs: median(roundTripsMs) };
}

/** What a load passed through the process that serves the device, and how fast it was. */
async function measured(way: Way, bench: Bench) {
  const { guest, echo } = bench;
  const start = { interrupts: guest.interrupts, returned: echo.returned };
  const load = async (): Promise<Speed> => run(way, guest);
  const { value, passed } = await (way === "direct"
    ? whileStill(bench, load)
    : counted(bench, load));
  const { frames, pings } = LOAD[way];
  assert.equal(echo.returned - start.returned, ROUNDS * frames + pings);
  return { ...value, passed, interrupts: guest.interrupts - start.interrupts };
}

interface Counted<Value> {
  readonly value: Value;
  readonly passed: PassedCounts;
}

async function counted<Value>(
  { served }: Bench,
  load: () => Promise<Value>,
): Promise<Counted<Value>> {
  const before = await served.counts();
  const value = await load();
  return { value, passed: between(before, await served.counts()) };
}

/** The serving process stands still during the load, and the driver's timers until it was counted. */
function whileStill<Value>(bench: Bench, load: () => Promise<Value>): Promise<Counted<Value>> {
  const { clock, served } = bench;
  return clock.during(() => counted(bench, () => whileStopped(served.pids, load)));
}

function between(before: PassedCounts, after: PassedCounts): PassedCounts {
  return {
    reads: after.reads - before.reads,
    writes: after.writes - before.writes,
    data: after.data - before.data,
    control: after.control - before.control,
    signals: after.signals - before.signals,
  };
}

const NOTHING: PassedCounts = { reads: 0, writes: 0, data: 0, control: 0, signals: 0 };

function figuresOf(
  way: Way,
  { framesPerSecond, roundTripMs, passed, interrupts }: Awaited<ReturnType<typeof measured>>,
): Figures {
  const { frames, pings } = LOAD[way];
  return {
    [`${way}: frames each way`]: ROUNDS * frames + pings,
    [`${way}: frames/s each way`]: Math.round(median(framesPerSecond)),
    [`${way}: slowest and fastest round`]: [Math.min, Math.max]
      .map((pick) => Math.round(pick(...framesPerSecond)))
      .join(" to "),
    [`${way}: round trip, ms`]: Number(roundTripMs.toFixed(2)),
    [`${way}: queue and interrupt registers through our process`]: passed.data,
    [`${way}: other registers through our process`]: passed.control,
    [`${way}: signals through our process`]: passed.signals,
    [`${way}: interrupts taken`]: interrupts,
  };
}

/** The BAR is let go while the device's writes are logged, and mapped again after that. */
async function logged(bench: Bench): Promise<Figures> {
  const { client, guest, bar } = bench;
  assert.ok(bar && client.dmaLogging, "the device keeps a log");
  await client.dmaLogging.start({ pageSize: PAGE, ranges: [RAM] });
  assert.deepEqual(bar.areas, []);
  const { accesses } = bar;
  const load = async () => guest.exchange(WARM_UP, WINDOW, LIMIT_MS);
  const relayed = (await counted(bench, load)).passed;
  assert.equal(bar.accesses, accesses);
  assert.ok(relayed.data > 0 && relayed.signals > 0, JSON.stringify(relayed));
  const bitmap = new Uint8Array(Number(RAM.size) / PAGE / 8);
  await client.dmaLogging.report(RAM, PAGE, bitmap);
  const dirty = bitmap.reduce((sum, byte) => sum + byte.toString(2).replaceAll("0", "").length, 0);
  assert.ok(dirty > 0 && dirty < bitmap.length * 8, `${dirty} pages are dirty`);
  await client.dmaLogging.stop();
  await bar.until(true);
  assert.deepEqual((await whileStill(bench, load)).passed, NOTHING);
  return {
    "logged: pages that 200 frames each way dirtied": dirty,
    "logged: queue and interrupt registers through our process": relayed.data,
    "logged: layouts fetched": bar.layouts,
  };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

async function speeds(): Promise<Figures> {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "vfmig-speed-"));
  stack.defer(async () => rm(folder, { recursive: true }));
  let figures: Figures = {};
  let served: ServedDevice | undefined;
  // The last one finds the driver's code compiled.
  for (const way of ["always", "trapped", "direct"] as const) {
    const serving: Serving = {
      address: DEVICES.vfs[0],
      path: join(folder, `${way}.sock`),
      mmap: way === "direct" ? "direct" : "none",
      plugin: OPTIONS[way],
    };
    if (served === undefined) served = stack.use(await ServedDevice.start(serving));
    else await served.serve(serving);
    await using bench = await open(served, serving, way);
    figures = { ...figures, ...(await figuresBy(way, bench)) };
  }
  return figures;
}

async function figuresBy(way: Way, bench: Bench): Promise<Figures> {
  const found = await measured(way, bench);
  const figures = figuresOf(way, found);
  assert.ok(found.interrupts > 0, "the driver was interrupted");
  if (way === "direct") {
    assert.deepEqual(found.passed, NOTHING);
    return { ...figures, ...(await logged(bench)) };
  }
  // Each round trip takes one doorbell at least.
  assert.ok(found.passed.data >= LOAD[way].pings, JSON.stringify(found.passed));
  assert.equal(found.passed.signals > 0, way === "always", JSON.stringify(found.passed));
  return figures;
}

export const cases: readonly BedCase[] = [
  {
    name: "with the plugin and direct doorbells a VF passes frames while the process that serves it stands still, but for the time of a log; trapped and always relayed, each access is counted",
    limitSeconds: 400,
    run: speeds,
  },
];
