import assert from "node:assert/strict";
import { systemClock } from "@vfmig/core";
import { setTimeout as pause } from "node:timers/promises";
import type { KernelSeries } from "../../fetch/kernel.ts";
import type { Figures } from "../../run/recorder.ts";
import type { StageContext } from "../../run/stage.ts";
import { entry, MODELS, MOVABLE, type Model } from "../../serve/configurations.ts";
import { Served } from "../../serve/served.ts";
import type { Guest } from "../guest.ts";
import { Cable } from "../replacement/cable.ts";
import { startGuest } from "../replacement/start-guest.ts";

const KERNEL: KernelSeries = "6.12";
const MAC = "02:00:00:00:00:0a";
/** TCP is measured in rounds, after it has come to its speed. */
const WARM_MS = 2000;
const ROUNDS = 5;
const ROUND_MS = 2000;
const LIMIT_MS = 120_000;

/**
 * What a guest has of a VF whose doorbells are trapped: TCP both ways at once, and pings. A bare model's BAR has no
 * memory behind it either, so that all accesses are messages to the device's process in both; what differs is the
 * plugin's part.
 */
export async function doorbellCases(context: StageContext): Promise<void> {
  for (const model of [...MODELS.filter(({ plugin }) => plugin === undefined), ...MOVABLE]) {
    const title = `${KERNEL} on ${model.name}: what trapped doorbells cost`;
    if (context.recorder.wants(title)) await measure(context, model, title);
  }
}

async function measure(
  { artifacts, recorder }: StageContext,
  model: Model,
  title: string,
): Promise<void> {
  await using cable = await Cable.open();
  const wire = { kind: "switch", path: cable.path };
  await using served = await Served.start([entry(model, 0, "vf", { mac: MAC, wire })], [], false);
  await using guest = await startGuest(artifacts, KERNEL, served, cable);
  await recorder.run(title, async () => await figures(guest), LIMIT_MS);
}

async function figures(guest: Guest): Promise<Figures> {
  const { shell } = guest;
  await shell.ready();
  await shell.run(". /functions.sh; set_peer; load_iavf && set_vf", 60_000);
  const ping = await shell.run("ping -c 200 -i 0.02 -W 2 10.9.0.2");
  const times = [...ping.matchAll(/time=([\d.]+) ms/gu)].map(([, ms]) => Number(ms));
  assert.ok(times.length > 150, `only ${times.length} of 200 pings were answered`);
  times.sort((a, b) => a - b);
  const at = (share: number): number => times[Math.floor(times.length * share)] ?? 0;
  await shell.run("begin_streams");
  await pause(WARM_MS);
  const rates: (readonly [number, number])[] = [];
  for (let round = 0; round < ROUNDS; round++) rates.push(await rate(guest));
  await shell.run("end_streams", 60_000);
  return {
    "Mbit/s to the VF": spread(rates.map(([, sent]) => sent)),
    "Mbit/s from it": spread(rates.map(([received]) => received)),
    "ping ms, median": at(0.5),
    "ping ms, 95 %": at(0.95),
  };
}

/** Megabits a second from the VF and to it, over one round. */
async function rate(guest: Guest): Promise<readonly [number, number]> {
  const [before, from] = [await passed(guest), systemClock.now()];
  await pause(ROUND_MS);
  const [after, to] = [await passed(guest), systemClock.now()];
  const megabits = (way: 0 | 1): number => ((after[way] - before[way]) * 8) / 1000 / (to - from);
  return [megabits(0), megabits(1)];
}

/** Median, and between which the rounds lie. */
function spread(values: readonly number[]): string {
  const sorted = values.toSorted((a, b) => a - b).map((value) => value.toFixed(1));
  return `${sorted[sorted.length >> 1]} (${sorted[0]} to ${sorted.at(-1)})`;
}

/** Bytes that the peer has received from the VF, and sent to it. */
async function passed({ shell }: Guest): Promise<readonly [number, number]> {
  const line = await shell.run("peer grep peer: /proc/net/dev");
  const [received, sent] = (/:\s*(\d+)(?:\s+\d+){7}\s+(\d+)/u.exec(line) ?? [])
    .slice(1)
    .map(Number);
  assert.ok(received !== undefined && sent !== undefined, `no counters in ${line}`);
  return [received, sent];
}
