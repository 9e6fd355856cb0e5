import { PCI_REGION } from "../../device/info.ts";
import type { DriverMode } from "../driver-mode.ts";
import type { Recording } from "../recording.ts";
import { compareRecordings, type Comparison } from "./compare.ts";
import type { Difference } from "./difference.ts";

/** Runs of one recording: itself, and its replays with ever more layers. */
export interface AttributionRuns {
  readonly recorded?: Recording | undefined;
  /** Two replays tell what the base itself leaves open. */
  readonly base: readonly Recording[];
  readonly transparent?: Recording | undefined;
  readonly active?: Recording | undefined;
}

export interface AttributionOptions {
  /** Keys of differences that are known and meant, such as `memory 0x100023008`. */
  readonly ignore?: readonly string[];
}

/** Without a transparent run, core and the plugin cannot be told apart. */
export type BlamedLayer = "base" | "core" | `plugin:${string}` | `core or plugin:${string}`;

/** What a run shows at the place of a difference. */
export interface Shown {
  readonly run: DriverMode | "recorded";
  readonly shows: string;
}

/** A difference of two neighbouring layers, or of the recording and the replay that ran like it. */
export interface AttributedDifference extends Difference {
  readonly between: "base, transparent" | "transparent, active" | "recorded, replayed";
}

/** Something that the sub-driver shows otherwise on purpose. */
export interface IntendedPlace {
  readonly place: string;
  readonly why: string;
}

export interface Attribution {
  /** Undefined where all runs show the same, and where nobody can say. */
  readonly layer: BlamedLayer | undefined;
  /**
   * The first thing that the recording shows and no replay does, where that may come from outside, such as a
   * frame, or from the moment in which the device looked into memory: what differs from there on tells nothing.
   */
  readonly unreproduced: Difference | undefined;
  /** True where each replay got what had reached the recorded device from outside. */
  readonly inputGiven: boolean;
  /** What the active sub-driver changes on purpose; none of the differences. */
  readonly intended: readonly IntendedPlace[];
  readonly difference: Difference | undefined;
  readonly shown: readonly Shown[];
  /** All of them, by pair. */
  readonly differences: readonly AttributedDifference[];
  /** Steps that were compared in all pairs. */
  readonly steps: number;
  readonly horizon: number | undefined;
  /** Places where the base does not agree with itself, left out. */
  readonly unsteady: readonly string[];
}

/**
 * Lays a difference at one layer's door. Where the device does not show any more what was recorded, the
 * first such place counts; else the first place where the replays part. The layer that made what is seen
 * there is the lowest one with which it is seen: the plugin where the transparent device shows something
 * else, core where the base alone does, and otherwise the base. Where what the device got from outside may
 * not have been the same, no layer is blamed for what that can explain.
 * @throws VfmigError `ERR_VFMIG_RECORDING_MISMATCH`
 */
export function attribute(runs: AttributionRuns, options: AttributionOptions = {}): Attribution {
  const [base, again] = runs.base;
  const unsteady = base && again ? compareRecordings(base, again, runs.recorded).differences : [];
  const noise = new Set(unsteady.map(({ key }) => steadyKey(key)));
  const left = new Set([...noise, ...(options.ignore ?? []).map((key) => steadyKey(key))]);
  const compare = (a: Recording | undefined, b: Recording | undefined): Comparison | undefined =>
    a && b && without(compareRecordings(a, b, runs.recorded), left);
  const core = compare(base, runs.transparent);
  const plugin = compare(runs.transparent ?? base, runs.active);
  const top = topOf(runs);
  const changed = compare(runs.recorded, top);
  const pairs = [core, plugin, changed].filter((pair) => pair !== undefined);
  const parts = { core, plugin, pluginLayer: pluginLayer(runs) };
  const inputGiven = isInputGiven(runs);
  const unreproduced = notRepeated(changed, parts, runs);
  const verdict = unreproduced
    ? partedBefore(unreproduced, parts)
    : (changedSince(changed, parts) ?? parted(parts));
  const place = verdict?.difference ?? unreproduced;
  const horizons = pairs.flatMap(({ horizon }) => (horizon === undefined ? [] : [horizon]));
  return {
    layer: verdict?.layer,
    unreproduced: verdict === undefined ? unreproduced : undefined,
    inputGiven,
    intended: intendedIn(runs.active),
    difference: verdict?.difference,
    shown: place === undefined ? [] : shownAt(place, { core, plugin, changed }, runs),
    differences: [
      ...between("base, transparent", core),
      ...between("transparent, active", plugin),
      ...between("recorded, replayed", changed),
    ],
    steps: pairs.length === 0 ? 0 : Math.min(...pairs.map(({ steps }) => steps)),
    horizon: horizons.length === 0 ? undefined : Math.min(...horizons),
    unsteady: [...noise],
  };
}

function between(
  name: AttributedDifference["between"],
  comparison: Comparison | undefined,
): readonly AttributedDifference[] {
  return (comparison?.differences ?? []).map((found) => ({ ...found, between: name }));
}

interface Parts {
  readonly core: Comparison | undefined;
  readonly plugin: Comparison | undefined;
  readonly pluginLayer: BlamedLayer;
}

interface Verdict {
  readonly layer: BlamedLayer;
  readonly difference: Difference;
}

/** The replay that ran as the recorded device did. */
function topOf(runs: AttributionRuns): Recording | undefined {
  const [base] = runs.base;
  const mode = runs.recorded?.mode;
  return mode === "base" ? base : mode === "transparent" ? runs.transparent : runs.active;
}

function changedSince(changed: Comparison | undefined, parts: Parts): Verdict | undefined {
  const difference = changed?.differences[0];
  if (difference === undefined) return undefined;
  if (has(parts.plugin, difference)) return { layer: parts.pluginLayer, difference };
  return { layer: has(parts.core, difference) ? "core" : "base", difference };
}

function parted({ core, plugin, pluginLayer: layer }: Parts): Verdict | undefined {
  const cores = core?.differences[0];
  const plugins = plugin?.differences[0];
  if (cores !== undefined && (plugins === undefined || cores.op <= plugins.op)) {
    return { layer: "core", difference: cores };
  }
  return plugins && { layer, difference: plugins };
}

function isInputGiven({ recorded, base, transparent, active }: AttributionRuns): boolean {
  const runs = [recorded, ...base, transparent, active];
  return runs.every((run) => run?.input !== false);
}

/**
 * What differs first from the recording, if no replay shows it and another moment or something from outside
 * can be the reason. Neither can where the guest reads what a PCI function is, where the device refuses what it
 * had taken, and before it has used memory or got anything.
 */
function notRepeated(
  changed: Comparison | undefined,
  { core, plugin }: Parts,
  { recorded }: AttributionRuns,
): Difference | undefined {
  const first = changed?.differences[0];
  if (first === undefined || recorded === undefined || first.kind === "write") return undefined;
  if (has(plugin, first) || has(core, first)) return undefined;
  const step = recorded.events.find(({ kind, op }) => kind === "read" && op === first.op);
  if (first.kind === "read" && step?.kind === "read") {
    const { region } = step;
    const fixed = region === PCI_REGION.CONFIG || region === PCI_REGION.ROM;
    if (fixed && recorded.identity.pci !== undefined) return undefined;
  }
  const begun = recorded.events.find(({ kind }) => kind === "input" || kind.endsWith("-memory"));
  return begun === undefined || first.op < begun.op ? undefined : first;
}

/** Up to there the replays have seen the same, unless their wires brought something by themselves. */
function partedBefore({ op }: Difference, parts: Parts): Verdict | undefined {
  const verdict = parted(parts);
  return verdict !== undefined && verdict.difference.op <= op ? verdict : undefined;
}

function intendedIn(active: Recording | undefined): readonly IntendedPlace[] {
  const places = new Map<string, IntendedPlace>();
  for (const event of active?.events ?? []) {
    if (event.kind !== "intended") continue;
    const { iova, mask, why } = event.change;
    const place = `guest memory at 0x${iova.toString(16)}, ${mask.length} ${mask.length === 1 ? "byte" : "bytes"}`;
    places.set(`${place} ${why}`, { place, why });
  }
  return [...places.values()];
}

function has(comparison: Comparison | undefined, { key }: Difference): boolean {
  return comparison?.differences.some((other) => other.key === key) ?? false;
}

function without(comparison: Comparison, noise: ReadonlySet<string>): Comparison {
  if (noise.size === 0) return comparison;
  const differences = comparison.differences.filter(({ key }) => !noise.has(steadyKey(key)));
  return { ...comparison, differences };
}

/** A place that is unsteady at one step is so at each. */
function steadyKey(key: string): string {
  return key.replace(/ @\d+$/, "");
}

function pluginLayer({ active, transparent }: AttributionRuns): BlamedLayer {
  const stands = transparent?.identity.driver?.standsFor?.name;
  const name = active?.identity.driver?.name ?? stands ?? "unknown";
  return transparent === undefined ? `core or plugin:${name}` : `plugin:${name}`;
}

interface Pairs {
  readonly core: Comparison | undefined;
  readonly plugin: Comparison | undefined;
  readonly changed: Comparison | undefined;
}

/** What each run shows there, as far as the pairs tell: where a pair has no difference both show the same. */
function shownAt({ key }: Difference, pairs: Pairs, runs: AttributionRuns): readonly Shown[] {
  const at = (pair: Comparison | undefined): Difference | undefined =>
    pair?.differences.find((other) => other.key === key);
  const core = at(pairs.core);
  const plugin = at(pairs.plugin);
  const changed = at(pairs.changed);
  const active = plugin?.right ?? changed?.right ?? core?.right;
  const transparent = plugin?.left ?? core?.right ?? active;
  const base = core?.left ?? transparent;
  const recorded = changed?.left ?? (runs.recorded?.mode === "base" ? base : active);
  const list: readonly [Shown["run"], Recording | undefined, string | undefined][] = [
    ["recorded", runs.recorded, recorded],
    ["base", runs.base[0], base],
    ["transparent", runs.transparent, transparent],
    ["active", runs.active, active],
  ];
  return list.flatMap(([run, there, shows]) =>
    there === undefined || shows === undefined ? [] : [{ run, shows }],
  );
}
