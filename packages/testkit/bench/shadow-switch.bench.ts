/**
 * What it costs to put the queues of a VF on private rings and to give them back, by NIC, queue pairs
 * and the time that the PF takes for an answer: how long until all pairs are there, for how long each
 * pair stands still, and how many frames come in vain. Model, plugin and guest run in this process;
 * the plugins are taken from the demo's folder, as a host takes them from its configuration's. Floor of
 * the same run: the two answers of the PF for which a pair has to stand still, one after the other.
 *
 * Run: node packages/testkit/bench/shadow-switch.bench.ts [--json] [--rounds=N] [--rate=N]
 *   [--models=i40e,e810] [--queues=1,4,16] [--delays=0,1,10]
 */
import { type ComposedDevice, systemClock } from "@vfmig/core";
import type { LoosePort } from "@vfmig/testkit";
import { machine, quantile } from "./figures.ts";
import { benchOptions } from "./options.ts";
import {
  composeVf,
  createGuest,
  createVf,
  FRAMES,
  isDirect,
  RING,
  shadowStatus,
  until,
} from "./vf-parts.ts";

const options = benchOptions({
  rounds: 5,
  rate: 20_000,
  models: ["i40e", "e810"],
  queues: [1, 4, 16],
  delays: [0, 1, 10],
});
const { rounds, rate } = options;

/** Answers of the PF between the stop of a pair and its start: DISABLE, then CONFIG and ENABLE. */
const ANSWERS = 2;
/** Milliseconds after which a pair that is not back counts as one that stays relayed. */
const PATIENCE_MS = 8000;

interface Switched {
  /** Milliseconds until every pair was there. */
  readonly all: number[];
  /** Milliseconds for which one pair stood still. */
  readonly windows: number[];
  /** Frames for which no device had a place, in one round. */
  readonly lost: number[];
  failed: number;
}

interface Row {
  readonly model: string;
  readonly queues: number;
  readonly pfDelayMs: number;
  readonly kind: "enter" | "leave";
  readonly allMs: number;
  readonly windowMs: number;
  readonly windowMost: number;
  readonly floorMs: number;
  readonly framesLost: number;
  readonly framesMost: number;
  readonly failed: number;
}

/** Frames at the rate, both ways, for as long as it lives. */
class Traffic {
  readonly #port: LoosePort;
  readonly #send: (frame: Uint8Array) => boolean;
  readonly #timer: NodeJS.Timeout;
  #last: number = performance.now();
  #owed = 0;
  #turn = 0;
  lost = 0;

  constructor(port: LoosePort, send: (frame: Uint8Array) => boolean) {
    this.#port = port;
    this.#send = send;
    this.#timer = setInterval(() => this.#run(), 1);
  }

  #run(): void {
    const now = performance.now();
    // A process that was not run for a while does not make up for it in one burst.
    this.#owed = Math.min(this.#owed + ((now - this.#last) * rate) / 1000, RING / 4);
    this.#last = now;
    for (; this.#owed >= 1; this.#owed--) {
      const frame = FRAMES[this.#turn++ % FRAMES.length];
      if (frame !== undefined && this.#port.deliver(frame) !== "accepted") {
        this.lost++;
      }
      // Two frames out for three in: rings that keep step would be a special case.
      if (frame !== undefined && this.#turn % 3 !== 0) {
        this.#send(frame);
      }
    }
    this.#port.sent.length = 0;
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

async function measure(model: string, queues: number, pfReplyDelayMs: number): Promise<Row[]> {
  const { device: base, control, port } = createVf(model, queues, systemClock);
  const device = await composeVf(base, model, systemClock);
  const driver = await createGuest(device, queues, systemClock);
  await driver.start();
  control.setReplyDelay(pfReplyDelayMs);
  const traffic = new Traffic(port, (frame) => driver.send(frame));
  const enter: Switched = { all: [], windows: [], lost: [], failed: 0 };
  const leave: Switched = { all: [], windows: [], lost: [], failed: 0 };
  let seen = 0;
  for (let round = 0; round < rounds; round++) {
    // oxlint-disable-next-line no-await-in-loop -- one round after the other
    seen = await roundTrip(device, traffic, enter, leave, seen);
  }
  traffic.stop();
  driver.pause();
  await device[Symbol.asyncDispose]();
  return [
    rowOf({ model, queues, pfDelayMs: pfReplyDelayMs, kind: "enter" }, enter),
    rowOf({ model, queues, pfDelayMs: pfReplyDelayMs, kind: "leave" }, leave),
  ];
}

/** In and out once; gives the number of the last window. */
async function roundTrip(
  device: ComposedDevice,
  traffic: Traffic,
  enter: Switched,
  leave: Switched,
  seen: number,
): Promise<number> {
  await until(() => false, 100);
  let { lost } = traffic;
  let began = performance.now();
  await device.dmaLogging?.start({ pageSize: 4096, ranges: [] });
  enter.all.push(performance.now() - began);
  enter.lost.push(traffic.lost - lost);
  await until(() => false, 50);
  ({ lost } = traffic);
  began = performance.now();
  await device.dmaLogging?.stop();
  if (await until(() => isDirect(device), PATIENCE_MS)) {
    leave.all.push(performance.now() - began);
  }
  leave.lost.push(traffic.lost - lost);
  const windows = shadowStatus(device).switches.filter(({ n }) => n > seen);
  for (const { kind, ms, outcome } of windows) {
    const into = kind === "enter" ? enter : leave;
    into.windows.push(ms);
    into.failed += outcome === "done" ? 0 : 1;
  }
  return windows.at(-1)?.n ?? seen;
}

function rowOf(
  what: Pick<Row, "model" | "queues" | "pfDelayMs" | "kind">,
  { all, windows, lost, failed }: Switched,
): Row {
  return {
    ...what,
    allMs: quantile(all, 0.5),
    windowMs: quantile(windows, 0.5),
    windowMost: quantile(windows, 1),
    floorMs: ANSWERS * what.pfDelayMs,
    framesLost: quantile(lost, 0.5),
    framesMost: quantile(lost, 1),
    failed,
  };
}

const rows: Row[] = [];
for (const model of options.models) {
  for (const queues of options.queues) {
    for (const delay of options.delays) {
      // oxlint-disable-next-line no-await-in-loop -- one world at a time
      rows.push(...(await measure(model, queues, delay)));
    }
  }
}

if (options.json) {
  const result = { benchmark: "shadow-switch", machine: machine(), rounds, rate };
  console.log(JSON.stringify({ ...result, rows }));
} else {
  console.log(`${rate} frames a second each way; medians of ${rounds} rounds, ms`);
  console.log("model queues  PF  way     all pairs   one pair (most)   floor   frames lost (most)");
  for (const row of rows) {
    console.log(
      `${row.model.padEnd(6)}${String(row.queues).padStart(6)}${String(row.pfDelayMs).padStart(4)}  ${row.kind}` +
        `${row.allMs.toFixed(1).padStart(12)}${row.windowMs.toFixed(2).padStart(11)} (${row.windowMost.toFixed(1)})` +
        `${String(row.floorMs).padStart(10)}${String(row.framesLost).padStart(10)} (${row.framesMost})` +
        (row.failed > 0 ? `  ${row.failed} windows in vain` : ""),
    );
  }
}
