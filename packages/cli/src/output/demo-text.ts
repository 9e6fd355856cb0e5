import type { DemoJson } from "./demo-json.ts";
import { dirtyText } from "./dirty-summary.ts";
import { percentile, readable } from "./numbers.ts";
import { table } from "./table.ts";

/** What a person wants to know after a demo. */
export function demoText(report: DemoJson): string {
  const parts = [driverText(report)];
  if (report.moves > 0) parts.push(moveText(report));
  if (report.switches.count > 0) parts.push(switchText(report));
  parts.push(flowText(report), verdict(report));
  return parts.join("\n\n");
}

function driverText({ driver, base, trapped }: DemoJson): string {
  const rows = [
    ["driver", `${driver.name} ${driver.version}`],
    ["base", `${base.name} ${base.version}`],
    ["integrity", driver.integrity ?? "none: the device runs on its base alone"],
    ["privileges", driver.privileges.length > 0 ? driver.privileges.join("; ") : "none"],
    ["trapped", describeTrapped(trapped)],
  ];
  return `What drove the device\n${table(rows)}`;
}

/** Drivers say what they trap as ranges of regions, in bytes; PCI regions 0 to 5 are BARs, 7 is config space. */
function describeTrapped(trapped: unknown): string {
  if (!Array.isArray(trapped) || trapped.length === 0) return "nothing";
  return trapped.map((range: unknown) => describeRange(range)).join(", ");
}

function describeRange(range: unknown): string {
  if (typeof range !== "object" || range === null) return String(range);
  const { region, offset, size } = range as Partial<Record<string, unknown>>;
  if (typeof region !== "number" || typeof offset !== "number" || typeof size !== "number") {
    return JSON.stringify(range);
  }
  const name = region <= 5 ? `BAR${region}` : region === 7 ? "config" : `region ${region}`;
  const hex = (value: number): string => value.toString(16).toUpperCase().padStart(2, "0");
  return `${name} ${hex(offset)}-${hex(offset + size - 1)}`;
}

function moveText({ migration, moves, dirty }: DemoJson): string {
  const withFrames = migration.framesDuringBlackout.filter((count) => count > 0).length;
  const rows = [
    ["", "median", "p99", "largest"],
    ["stop to run, ms", ...spread(migration.stopToRunMs, 2)],
    ["state, bytes", ...spread(migration.stateBytes, 0)],
    ["dirty pages", ...spread(migration.dirtyPages, 0)],
    ["frames while stopped", ...spread(migration.framesDuringBlackout, 0)],
  ];
  return `${readable(moves)} ${moves === 1 ? "move" : "moves"}, ${readable(withFrames)} with frames while stopped\n${table(rows)}\n${[phaseText(migration.phases), ...(dirty === null ? [] : [dirtyText(dirty)]), indexText(migration.ringIndices)].join("\n")}`;
}

function switchText({ switches }: DemoJson): string {
  const kinds = Object.entries(switches.kinds).map(([kind, count]) => `${readable(count)} ${kind}`);
  const rows = [
    ["", "median", "p99", "largest"],
    ["a pair stood still, ms", ...spread(switches.ms, 2)],
    ["frames meanwhile", ...spread(switches.frames, 0)],
  ];
  return `${readable(switches.count)} switches of a queue pair (${kinds.join(", ")})\n${table(rows)}`;
}

function spread(values: readonly number[], digits: number): string[] {
  return [
    readable(percentile(values, 0.5), digits),
    readable(percentile(values, 0.99), digits),
    readable(Math.max(...values), digits),
  ];
}

function phaseText(phases: DemoJson["migration"]["phases"]): string {
  const names = Object.keys(phases[0] ?? {});
  const parts = names.map(
    (name) =>
      `${name} ${readable(
        percentile(
          phases.map((phase) => phase[name] ?? 0),
          0.5,
        ),
        2,
      )}`,
  );
  return `  of which, median ms: ${parts.join(", ")}`;
}

function indexText(moves: DemoJson["migration"]["ringIndices"]): string {
  const lines: string[] = [];
  for (const half of ["tx", "rx"] as const) {
    const values = moves.flatMap((rings) => rings.map((ring) => ring[half]));
    if (values.length === 0) continue;
    const distinct = new Set(values).size;
    lines.push(
      `  ${half} index at the stop: ${Math.min(...values)} to ${Math.max(...values)}, ${distinct} different`,
    );
  }
  return lines.join("\n");
}

function flowText({ flows, frames, seconds }: DemoJson): string {
  const rows = [
    [
      "direction",
      "flow",
      "sent",
      "delivered",
      "blackout",
      "switch",
      "lost",
      "dup",
      "reord",
      "corrupt",
    ],
    ...flows.map((flow) => [
      flow.direction === "toGuest" ? "to guest" : "from guest",
      flow.flow,
      ...[
        flow.sent,
        flow.delivered,
        flow.duringBlackout,
        flow.duringSwitch,
        flow.lost,
        flow.duplicated,
        flow.reordered,
        flow.corrupted,
      ].map((count) => readable(count)),
    ]),
  ];
  return `Frames: sent = delivered + blackout + switch + lost\n${table(rows)}${heldText(frames.heldMs, seconds)}`;
}

/** Nothing where it was less than a hundredth of the time. */
function heldText(heldMs: number, seconds: number): string {
  return heldMs < 10 * seconds
    ? ""
    : `\n  The sender held frames back for ${readable(heldMs)} ms of ${readable(seconds)} s, as the link's flow control asked: device or guest came late.`;
}

function verdict({ frames, dirty }: DemoJson): string {
  const bad = frames.lost + frames.duplicated + frames.reordered + frames.corrupted;
  const forgotten = dirty?.forgotten ?? 0;
  if (forgotten > 0) {
    return `FAILED: ${readable(forgotten)} pages changed and neither the device's log nor the guest named them; the guest's memory is broken after such a move. With them ${readable(bad)} frames went wrong.`;
  }
  if (bad === 0) {
    return `${readable(frames.toGuest)} frames to the guest and ${readable(frames.fromGuest)} from it: none lost, duplicated, reordered or corrupted.`;
  }
  const failed = `FAILED: ${frames.lost} lost, ${frames.duplicated} duplicated, ${frames.reordered} reordered, ${frames.corrupted} corrupted.`;
  const starved = frames.refused["no-descriptor"] ?? 0;
  if (starved === 0) return failed;
  return `${failed}\n${readable(starved)} frames found no free buffer: the guest's driver did not keep up. On a busy machine, try a lower --rate.`;
}
