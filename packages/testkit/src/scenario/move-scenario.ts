import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import {
  defineScenario,
  VfmigError,
  type FlowReport,
  type Incompatibility,
  type MoveReport,
  type ScenarioContext,
  type ScenarioDefinition,
  type ScenarioReport,
  type ServedDevice,
} from "@vfmig/core";
import { z } from "zod";
import {
  accountFlows,
  openTraffic,
  seededRandom,
  type StopWindow,
  type TrafficChoice,
} from "../traffic/index.ts";
import type { GuestDriverKind } from "../vmm/ipc.ts";
import type { MoveOutcome } from "../vmm/move.ts";
import { startGuestProcess, type GuestProcess } from "../vmm/start-guest-process.ts";
import type { WirePlace } from "../wire/ipc.ts";
import type { LanOptions } from "../wire/lan-link.ts";
import { startWireProcess } from "../wire/start-wire-process.ts";
import { AcceptedFrames } from "./accepted-frames.ts";
import { SwitchWindows } from "./switch-windows.ts";
import { Trouble } from "./trouble.ts";

interface MoveOptions {
  readonly capture: string;
  readonly guestMac: string;
  readonly traffic: "pcap" | "mixed";
  readonly ramMiB?: number | undefined;
  readonly queuePairs: number;
  readonly wires: Readonly<Record<string, string>>;
  readonly lan?: LanOptions | undefined;
  readonly driver: GuestDriverKind;
  readonly maps: boolean;
  readonly flowControl: boolean;
  readonly settleMs: number;
}

const optionsSchema: z.ZodType<MoveOptions> = z.strictObject({
  /** Capture that is played, relative to the configuration's folder. */
  capture: z.string().min(1),
  /** The host of the capture that the guest plays; every other host is on the wire. */
  guestMac: z.string(),
  /** `mixed` is made up: 64 to 9,000 bytes, tagged and untagged, many flows. */
  traffic: z.enum(["pcap", "mixed"]).default("pcap"),
  /** Default: what rings and buffers of that many queues need. */
  ramMiB: z.int().min(8).max(4096).optional(),
  queuePairs: z.int().min(1).max(16).default(4),
  /** Whose port a wire joins, by the name of the device that the guest uses; default the same one's. */
  wires: z.record(z.string(), z.string()).default({}),
  /**
   * A network that leads to both devices, as that of one PF with two VFs, instead of the devices' own
   * ports: the TAP interface of this machine that is a part of it.
   */
  lan: z
    .strictObject({
      tap: z.string().min(1).max(15),
      /** How long a frame may be under way there; milliseconds. */
      transitMs: z.number().min(0).max(1000).default(50),
    })
    .optional(),
  /** The guest's driver, by its Linux name. */
  driver: z.enum(["iavf", "igbvf"]).default("iavf"),
  /** Whether the guest's VMM maps what it may of BAR0, where the devices have memory to map. */
  maps: z.boolean().default(false),
  /**
   * Whether the sender holds frames while a device asks for it (802.3x), for half a second at most: a
   * guest that gets too little of the processor then makes frames late instead of lost.
   */
  flowControl: z.boolean().default(false),
  /** Traffic before the first move and after the last; milliseconds. */
  settleMs: z.int().min(0).max(3_600_000).default(500),
});

const ringIndicesSchema = z.array(z.object({ queue: z.int(), tx: z.int(), rx: z.int() }));

type Context = ScenarioContext<MoveOptions>;

/** Between two moves, in milliseconds: several rings' worth of frames, and never the same twice. */
const BETWEEN_MS = { least: 60, spread: 200 };
/** Traffic without a move, in milliseconds. */
const TRAFFIC_ONLY_MS = 2000;
/** How long the last frames may take through sockets and rings, in milliseconds. */
const DRAIN_MS = 300;

/**
 * A guest under traffic is moved between the first two devices, to and fro, and every frame is counted.
 */
const moveScenario: ScenarioDefinition<MoveOptions> = defineScenario({
  name: "move",
  options: optionsSchema,
  run,
});

export default moveScenario;

async function run(context: Context): Promise<ScenarioReport> {
  const [first, second] = twoDevices(context);
  const { guestMac } = context.options;
  const traffic = choose(context);
  const plan = openTraffic(traffic, guestMac);
  const accepted = new AcceptedFrames();
  const trouble = new Trouble();
  await using wire = await startWireProcess({
    ports: places(context, [first, second]),
    traffic,
    guestMac,
    flowControl: context.options.flowControl,
    onAccepted: (event) => accepted.note(event),
    onClosed: (port, reason) => trouble.note(`the wire's port "${port}" closed: ${reason ?? ""}`),
    onDeath: (error) => trouble.note(error.message),
  });
  await using guest = startGuestProcess((message) => trouble.note(message));
  context.progress({ fraction: 0, text: "the guest's driver probes its device" });
  await guest.ask({
    do: "open",
    machines: [first, second].map(({ name, socketPath }) => ({ name, socketPath })),
    ramBytes: ramMiB(context.options, plan.mtu) * 2 ** 20,
    queuePairs: context.options.queuePairs,
    driver: context.options.driver,
    maps: context.options.maps,
    traffic,
    guestMac,
  });

  const began = performance.now();
  await wire.start(context.rate);
  await guest.ask({
    do: "start",
    rate: (context.rate * plan.fromGuest.length) / plan.toGuest.length,
  });
  const found = await moveAll(context, [first, second], guest, accepted, trouble);
  const { moves, refusal } = found;
  const driverStatus = await first.status();
  await guest.ask({ do: "stop" });
  await wire.stop();
  await pause(DRAIN_MS);
  trouble.check();
  for (const device of [first, second]) found.switches.note(device.name, await device.status());

  const { switches } = found;
  await wire.setWindows([...moves.map(({ window }) => window), ...switches.windows]);
  const onWire = await wire.report();
  const inGuest = await guest.ask({ do: "report" });
  const seconds = (performance.now() - began) / 1000;
  const flows = [
    ...accountFlows({
      direction: "toGuest",
      names: plan.flows,
      sent: onWire.sentFlows,
      received: inGuest.received,
      drops: onWire.drops,
    }),
    ...accountFlows({
      direction: "fromGuest",
      names: plan.flows,
      sent: inGuest.sent,
      received: onWire.fromGuest,
    }),
  ];
  if (refusal !== undefined) throw refused(refusal, moves.length, flows);
  return {
    moves: moves.map(({ report }, move) => ({
      ...report,
      framesDuringBlackout: onWire.perWindow[move] ?? 0,
    })),
    switches: switches.reports(onWire.perWindow.slice(moves.length)),
    flows,
    seconds,
    refusals: { ...onWire.refusedByVerdict },
    heldMs: onWire.heldMs,
    driverStatus,
  };
}

interface Move {
  readonly window: StopWindow;
  readonly report: Omit<MoveReport, "framesDuringBlackout">;
}

async function moveAll(
  context: Context,
  [first, second]: readonly [ServedDevice, ServedDevice],
  guest: GuestProcess,
  accepted: AcceptedFrames,
  trouble: Trouble,
): Promise<{
  readonly moves: readonly Move[];
  readonly refusal: Refusal | undefined;
  readonly switches: SwitchWindows;
}> {
  const { signal } = context;
  const random = seededRandom(context.seed);
  const moves: Move[] = [];
  const switches = new SwitchWindows();
  let refusal: Refusal | undefined;
  context.progress({ fraction: 0.02, text: "frames flow" });
  const idle = context.moves === 0 ? TRAFFIC_ONLY_MS : context.options.settleMs;
  await pause(idle, undefined, { signal });
  for (let move = 0; move < context.moves; move += 1) {
    await pause(BETWEEN_MS.least + random() * BETWEEN_MS.spread, undefined, { signal });
    trouble.check();
    const [source, target] = move % 2 === 0 ? [first, second] : [second, first];
    context.progress({
      fraction: (move + 0.5) / (context.moves + 1),
      text: `move ${move + 1} of ${context.moves}: ${source.name} to ${target.name}`,
    });
    // The target is asked before anything of the source stops.
    const reasons = await target.compare(await source.describe());
    if (reasons.length > 0) {
      refusal = { source: source.name, target: target.name, reasons };
      break;
    }
    const saveStateTo = move === context.moves - 1 ? context.saveStateTo : undefined;
    const outcome = await guest.ask({ do: "move", to: target.name, saveStateTo });
    // A network does not say what its devices take: a target that runs has to take all.
    const acceptedAt =
      context.options.lan === undefined
        ? await accepted.firstAfter(target.name, outcome.stopRequested, signal)
        : outcome.resumed;
    moves.push({
      window: { kind: "blackout", fromMs: outcome.stopRequested, toMs: acceptedAt },
      report: await moveReport(source, target, outcome, acceptedAt),
    });
    for (const device of [source, target]) switches.note(device.name, await device.status());
  }
  // Also after a refusal: the guest goes on, and that is counted.
  await pause(context.moves > 0 ? context.options.settleMs : 0, undefined, { signal });
  return { moves, refusal, switches };
}

async function moveReport(
  source: ServedDevice,
  target: ServedDevice,
  outcome: MoveOutcome,
  acceptedAt: number,
): Promise<Move["report"]> {
  const { ringIndices } = await source.status();
  return {
    from: source.name,
    to: target.name,
    stopToRunMs: acceptedAt - outcome.stopRequested,
    phases: { ...outcome.phases, firstFrame: acceptedAt - outcome.resumed },
    stateBytes: outcome.stateBytes,
    dirtyPages: outcome.dirtyPages,
    dirty: outcome.dirty,
    copiedPages: outcome.copiedPages,
    ringIndices: ringIndicesSchema.parse(ringIndices ?? []),
  };
}

/** What the target's plugin answered. */
interface Refusal {
  readonly source: string;
  readonly target: string;
  readonly reasons: readonly Incompatibility[];
}

/** The source went on for a while after the refusal, and every frame was counted. */
function refused(refusal: Refusal, moves: number, flows: readonly FlowReport[]): VfmigError {
  const { source, target, reasons } = refusal;
  const list = reasons.map(({ field, reason }) => `${field}: ${reason}`).join("; ");
  const delivered = flows.reduce((sum, flow) => sum + flow.delivered, 0);
  const lost = flows.reduce((sum, flow) => sum + flow.lost, 0);
  return new VfmigError(
    "ERR_VFMIG_TESTKIT_INCOMPATIBLE",
    `Device "${target}" cannot take what the guest uses on "${source}": ${list}. Nothing was stopped and the guest went on: ${delivered} frames delivered in all, ${lost} lost.`,
    { layer: "testkit", details: { source, target, reasons, moves, delivered, lost } },
  );
}

function twoDevices({ devices }: Context): readonly [ServedDevice, ServedDevice] {
  const [first, second] = devices;
  if (first !== undefined && second !== undefined) return [first, second];
  throw new VfmigError(
    "ERR_VFMIG_TESTKIT_NOT_MOVABLE",
    `The scenario moves a guest between two devices, and the configuration has ${devices.length}. Add a second one.`,
    { layer: "testkit", details: { devices: devices.map(({ name }) => name) } },
  );
}

function choose({ options, folder, seed }: Context): TrafficChoice {
  if (options.traffic === "mixed") return { kind: "mixed", seed };
  return { kind: "pcap", capture: resolve(folder, options.capture) };
}

/** A pair takes 512 slots with a buffer each way, of 2 KiB, or of 4 and 2 KiB where frames are long. */
function ramMiB({ ramMiB: wanted, queuePairs }: MoveOptions, mtu: number): number {
  return wanted ?? 16 + queuePairs * (mtu > 1500 ? 4 : 3);
}

function places(context: Context, devices: readonly ServedDevice[]): WirePlace[] {
  const { lan } = context.options;
  if (lan !== undefined) return [{ name: "lan", lan }];
  return devices.map((device) => ({ name: device.name, path: wirePath(context, device) }));
}

/** Where a model's port listens: in the folder of the run. */
function wirePath({ options: { wires }, scratch }: Context, { name }: ServedDevice): string {
  return join(scratch, `${wires[name] ?? name}.wire`);
}
