import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { KernelSeries } from "../../fetch/kernel.ts";
import type { Figures } from "../../run/recorder.ts";
import type { StageContext } from "../../run/stage.ts";
import { entry, MOVABLE, type Model } from "../../serve/configurations.ts";
import { Served } from "../../serve/served.ts";
import type { Guest } from "../guest.ts";
import { Cable } from "./cable.ts";
import { startGuest } from "./start-guest.ts";

/** What runs on what. Each takes half a minute, so the older kernel has only the model that no other case puts it on. */
const GUESTS: readonly (readonly [KernelSeries, readonly Model[]])[] = [
  ["6.12", MOVABLE],
  ["6.1", MOVABLE.filter(({ name }) => name === "1889+plugin")],
];
const MAC = "02:00:00:00:00:0a";
const cli = fileURLToPath(new URL("../../../../packages/cli/bin/vfmig.js", import.meta.url));
const run = promisify(execFile);
/** Entries that take the place, one after the other: to and fro. */
const TURNS = ["spare", "vf", "spare"] as const;
/**
 * Milliseconds between the cable, where a reply is seen, and the device: processes of a busy machine wait for
 * their turn. A reply that passes the cable this long before or after a window may meet it; where the slowest
 * answered ping took longer, that long.
 */
const SLACK_MS = 400;
const LIMIT_MS = 300_000;

/** What `vfmig replace --json` says of a pause. */
interface Outcome {
  readonly pausedAt: number;
  readonly windowMs: number;
  readonly stateBytes: number;
  readonly phases: Readonly<Record<string, number>>;
}

/** A guest whose VF is replaced by one of another PF, three times, while TCP runs both ways and pings go. */
export async function replacementCases(context: StageContext): Promise<void> {
  for (const [series, models] of GUESTS) {
    for (const model of models) {
      const title = `${series} on ${model.name}: TCP and pings go on while the VF is replaced three times by one of another PF`;
      if (context.recorder.wants(title)) await runCase(context, series, model, title);
    }
  }
}

async function runCase(
  { artifacts, recorder }: StageContext,
  series: KernelSeries,
  model: Model,
  title: string,
): Promise<void> {
  await using cable = await Cable.open();
  const wire = { kind: "switch", path: cable.path };
  const entries = [
    entry(model, 0, "vf", { mac: MAC, wire }),
    { ...entry(model, 1, "spare", { mac: MAC, wire }), standby: true },
  ];
  await using served = await Served.start(entries, ["--control", "{folder}/control"]);
  await using guest = await startGuest(artifacts, series, served, cable);
  await recorder.run(
    title,
    async (evidence) => {
      evidence("vfmig serve's stderr", () => served.child.stderr);
      evidence("QEMU's stderr", () => guest.machine.child.stderr);
      evidence("the guest's console", () => guest.console);
      return await replaceUnderTraffic(guest, served, cable);
    },
    LIMIT_MS,
  );
}

async function replaceUnderTraffic(guest: Guest, served: Served, cable: Cable): Promise<Figures> {
  const { shell } = guest;
  await shell.ready();
  await shell.run(". /functions.sh; set_peer; load_iavf && set_vf", 60_000);
  cable.echoes.clear();
  await shell.run("small_windows; begin_streams && begin_pings");
  const before = await state(guest);
  const outcomes: Outcome[] = [];
  let passed = await streamed(guest);
  for (const to of TURNS) {
    await pause(1000);
    outcomes.push(await replace(served, to));
    passed = await furtherThan(guest, passed);
    assert.deepEqual(cable.stations, [1, 1], "stations at the peer's port and at the new device's");
  }
  await pause(1000);
  assert.equal(await state(guest), before, "the interface was reset, or lost its carrier");
  await shell.run("reset_complaints && complaints");
  const pings = await endOfPings(guest, cable, outcomes);
  const bytes = await endOfStreams(guest);
  return { ...pings, ...bytes, ...figuresOf(outcomes) };
}

/** What changes where the driver resets the device or the link goes: times of it, and the interface itself. */
function state({ shell }: Guest): Promise<string> {
  return shell.run(
    "cat /sys/class/net/$(vf)/carrier_changes /sys/class/net/$(vf)/ifindex /sys/class/net/$(vf)/queues/tx-*/tx_timeout",
  );
}

/** Bytes that passed the VF so far, either way. */
async function streamed({ shell }: Guest): Promise<readonly number[]> {
  return (await shell.run("stream_bytes")).split("\n").map(Number);
}

/** Waits until both streams have brought more than pings would, and returns how much passed by then. */
async function furtherThan(guest: Guest, before: readonly number[]): Promise<readonly number[]> {
  for (let n = 0; n < 100; n++) {
    const now = await streamed(guest);
    if (now.every((bytes, i) => bytes > (before[i] ?? 0) + 500_000)) return now;
    await pause(200);
  }
  throw new Error(`TCP stands still: ${String(before)} bytes passed, and few more`);
}

async function replace(served: Served, to: string): Promise<Outcome> {
  const words = ["replace", "vf", "--with", to, "--control", `${served.folder}/control`, "--json"];
  const { stdout } = await run(process.execPath, [cli, ...words]);
  const answer = JSON.parse(stdout) as { readonly entry: string; readonly outcome: Outcome };
  assert.equal(answer.entry, to);
  return answer.outcome;
}

/** Each request went out, and no number is missing but those whose reply met a window. */
async function endOfPings(
  { shell }: Guest,
  { echoes }: Cable,
  outcomes: readonly Outcome[],
): Promise<Figures> {
  const answers = (await shell.run("end_pings")).split("\n").map((line) => line.split(" "));
  const answered = new Set(answers.map(([sequence]) => Number(sequence)));
  const slackMs = Math.max(SLACK_MS, ...answers.map(([, ms]) => Number(ms)));
  const last = Math.max(...answered);
  assert.ok(last > 50, `only ${last} pings`);
  const lost = Array.from({ length: last }, (_, n) => n).filter((n) => !answered.has(n));
  const unsent = lost.filter((n) => !echoes.requests.has(n));
  assert.deepEqual(unsent, [], "requests that never came out");
  // What got no answer from the peer, since QEMU's cable drops what comes too fast, was not the VF's to lose.
  const unanswered = lost.filter((n) => !echoes.replies.has(n));
  assert.ok(unanswered.length <= last / 20, `${unanswered.length} requests had no answer`);
  const outside = lost.flatMap((n) => {
    const at = echoes.replies.get(n);
    if (at === undefined) return [];
    // Positive: after the window; negative: before it. Of the windows, the nearest.
    const away = outcomes.map(({ pausedAt, windowMs }) =>
      at < pausedAt ? at - pausedAt : Math.max(0, at - pausedAt - windowMs),
    );
    const ms = away.reduce((least, each) => (Math.abs(each) < Math.abs(least) ? each : least));
    return Math.abs(ms) <= slackMs ? [] : [{ ping: n, fromWindowMs: ms }];
  });
  assert.deepEqual(outside, [], "pings lost outside of the windows");
  return {
    pings: last + 1,
    "lost in windows": lost.length - unanswered.length,
    "never answered": unanswered.length,
    "slowest answer, ms": slackMs,
  };
}

async function endOfStreams({ shell }: Guest): Promise<Figures> {
  const lines = (await shell.run("end_streams", 60_000)).split("\n");
  const [sentDown, receivedDown, sentUp, receivedUp, retransmitted] = lines;
  assert.match(sentDown ?? "", /^[0-9a-f]{64} [0-9]+$/);
  assert.equal(receivedDown, sentDown, "what came to the VF is not what was sent");
  assert.equal(receivedUp, sentUp, "what came from the VF is not what was sent");
  const megabytes = (line = ""): string => (Number(line.split(" ")[1]) / 1e6).toFixed(1);
  return {
    "MB to the VF": megabytes(sentDown),
    "MB from it": megabytes(sentUp),
    "segments sent again": Number(retransmitted),
  };
}

function figuresOf(outcomes: readonly Outcome[]): Figures {
  const each = (of: (outcome: Outcome) => number): string =>
    outcomes.map((outcome) => of(outcome).toFixed(1)).join(" / ");
  const phases = ["stop", "carry", "replay", "start"].map(
    (phase) => `${phase} ${each((outcome) => outcome.phases[phase] ?? 0)}`,
  );
  const windows = each(({ windowMs }) => windowMs);
  return {
    "windows, ms": `${windows} (${phases.join("; ")})`,
    "state, bytes": outcomes.at(-1)?.stateBytes ?? 0,
  };
}
