import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PCI_REGION, type VfioDevice } from "@vfmig/core";
import { createLinuxIo } from "@vfmig/linux";
import { connectVfioUser, type VfioUserClient } from "@vfmig/vfio-user";
import type { BedCase, Figures } from "../inside/bed-case.ts";
import { DEVICES } from "../inside/devices.ts";
import { serve } from "../inside/serving.ts";
import type { PassedCounts } from "../native-speed/device-process.ts";
import { Echo } from "../native-speed/echo.ts";
import { EchoGuest, type Exchanged } from "../native-speed/guest.ts";
import { MappedBar } from "../native-speed/mapped-bar.ts";
import { ServedDevice } from "../native-speed/served-device.ts";
import { children, whileStopped } from "../native-speed/while-stopped.ts";

const FRAMES = 1000;
const ROUNDS = 3;
/** On their way at once. */
const WINDOW = 32;
const PINGS = 200;
const WARM_UP = 200;
const LIMIT_MS = 60_000;

/** How the guest's register accesses reach the NIC. */
type Way = "direct" | "trapped";

interface Measured {
  readonly framesPerSecond: readonly number[];
  readonly roundTripMs: number;
  /** What passed the process that serves the device. */
  readonly passed: Pick<PassedCounts, "reads" | "writes" | "signals">;
  readonly interrupts: number;
  /** Loads and stores of the mapped BAR. */
  readonly mapped: number;
}

async function measure(way: Way): Promise<Measured> {
  await using stack = new AsyncDisposableStack();
  const io = createLinuxIo();
  const folder = await mkdtemp(join(tmpdir(), "vfmig-speed-"));
  stack.defer(async () => rm(folder, { recursive: true }));
  const path = join(folder, "vf.sock");
  const mmap = way === "direct" ? "direct" : "none";
  const served = stack.use(await ServedDevice.start({ address: DEVICES.vfs[0], path, mmap }));
  const client = stack.use(await connectVfioUser({ io, path, syncTimeoutMs: LIMIT_MS }));
  const bar = way === "direct" ? await mapBar(client) : undefined;
  const device: VfioDevice = bar ?? client.device;
  const echo = stack.use(new Echo(io, DEVICES.lan.tap));
  const guest = stack.use(await EchoGuest.start(io, device));
  await guest.exchange(WARM_UP, WINDOW, LIMIT_MS);

  const before = await served.counts();
  const start = { interrupts: guest.interrupts, returned: echo.returned, mapped: bar?.accesses };
  const run = async (): Promise<Pick<Measured, "framesPerSecond" | "roundTripMs">> => {
    const rates: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      rates.push(FRAMES / (await guest.exchange(FRAMES, WINDOW, LIMIT_MS)).seconds);
    }
    const { roundTripsMs } = await guest.exchange(PINGS, 1, LIMIT_MS);
    return { framesPerSecond: rates, roundTripMs: median(roundTripsMs) };
  };
  const speed = way === "direct" ? await whileStopped(served.pids, run) : await run();
  const after = await served.counts();
  assert.equal(echo.returned - start.returned, ROUNDS * FRAMES + PINGS);
  return {
    ...speed,
    passed: {
      reads: after.reads - before.reads,
      writes: after.writes - before.writes,
      signals: after.signals - before.signals,
    },
    interrupts: guest.interrupts - start.interrupts,
    mapped: (bar?.accesses ?? 0) - (start.mapped ?? 0),
  };
}

/** By our host as it is: its device's process tells no counts, so it stands still. */
async function passHost(): Promise<Figures> {
  await using stack = new AsyncDisposableStack();
  const options = { address: DEVICES.vfs[0], mmap: "direct" };
  const base = { package: "@vfmig/vfio-pci-base", options };
  const { clients } = stack.use(await serve([{ name: "vf1", base }], true));
  const [client] = clients;
  assert.ok(client, "the host serves the device");
  const io = createLinuxIo();
  stack.use(new Echo(io, DEVICES.lan.tap));
  const guest = stack.use(await EchoGuest.start(io, await mapBar(client)));
  await guest.exchange(WARM_UP, WINDOW, LIMIT_MS);
  const stopped = children();
  assert.ok(stopped.length > 0, "the device has a process of its own");
  const run = async (): Promise<Exchanged> => guest.exchange(FRAMES, WINDOW, LIMIT_MS);
  const { seconds } = await whileStopped(stopped, run);
  return { "frames each way": FRAMES, "frames/s each way": Math.round(FRAMES / seconds) };
}

async function mapBar(client: VfioUserClient): Promise<MappedBar> {
  const size = client.info.regions[PCI_REGION.BAR0]?.size ?? 0;
  const { bytes } = await client.mapRegion(PCI_REGION.BAR0, { offset: 0, size });
  return new MappedBar(client.device, bytes);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

function figuresOf(
  way: Way,
  { framesPerSecond, roundTripMs, passed, interrupts, mapped }: Measured,
): Figures {
  return {
    [`${way}: frames/s each way`]: Math.round(median(framesPerSecond)),
    [`${way}: slowest and fastest round`]: [
      Math.min(...framesPerSecond),
      Math.max(...framesPerSecond),
    ]
      .map(Math.round)
      .join(" to "),
    [`${way}: round trip, ms`]: Number(roundTripMs.toFixed(2)),
    [`${way}: accesses through our process`]: passed.reads + passed.writes,
    [`${way}: accesses of mapped memory`]: mapped,
    [`${way}: interrupts taken`]: interrupts,
    [`${way}: signals through our process`]: passed.signals,
  };
}

export const cases: readonly BedCase[] = [
  {
    name: "a VF whose BAR is mapped passes frames while the process that serves it stands still; trapped, each access is counted",
    limitSeconds: 400,
    async run() {
      const direct = await measure("direct");
      assert.deepEqual(direct.passed, { reads: 0, writes: 0, signals: 0 });
      assert.ok(direct.interrupts > 0 && direct.mapped > 0, "the driver used the device");
      const trapped = await measure("trapped");
      // Each round trip takes one doorbell at least.
      assert.ok(trapped.passed.writes >= PINGS, JSON.stringify(trapped.passed));
      assert.ok(trapped.interrupts > 0, "the driver was interrupted");
      assert.equal(trapped.passed.signals, 0);
      return { ...figuresOf("direct", direct), ...figuresOf("trapped", trapped) };
    },
  },
  {
    name: "a VF that our host serves with a mapped BAR passes 1,000 frames each way while every process of the host's devices stands still",
    limitSeconds: 300,
    run: passHost,
  },
];
