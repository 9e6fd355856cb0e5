import type { RecordedAnswer, RecordedCall, RecordedStep } from "../events.ts";
import type { Recording } from "../recording.ts";
import { VfmigError } from "../../errors/vfmig-error.ts";
import { findSuperseded } from "../replay/plan.ts";
import { accessName, bytesText, type Difference } from "./difference.ts";

/** One step with what came of it. */
export interface Step {
  readonly op: number;
  readonly event: RecordedStep;
  readonly answer: RecordedAnswer | undefined;
  readonly superseded: boolean;
}

/** The steps of a run; of a place that was read again for one step, the last reading. */
export function stepsOf({ events }: Recording): readonly Step[] {
  const answers = new Map<number, RecordedAnswer>();
  for (const event of events) if (event.kind === "answer") answers.set(event.op, event.answer);
  const superseded = findSuperseded(events);
  const steps: Step[] = [];
  for (const event of events) {
    if (event.kind !== "read" && event.kind !== "write" && event.kind !== "call") continue;
    const { op } = event;
    steps[op] = { op, event, answer: answers.get(op), superseded: superseded.has(event) };
  }
  return steps;
}

/**
 * The step from which on two runs cannot be compared: one of them was stopped or given a state, and the
 * other does not offer that.
 */
export function horizonOf(left: readonly Step[], right: readonly Step[]): number {
  for (const [op, step] of left.entries()) {
    const { event, answer } = step;
    if (event.kind !== "call" || event.call.name !== "state") continue;
    const skippedLeft = answer?.skipped === true;
    const skippedRight = right[op]?.answer?.skipped === true;
    const halts = !["running", "pre-copy"].includes(event.call.target);
    if (halts && skippedLeft !== skippedRight) return op;
  }
  return Number.POSITIVE_INFINITY;
}

/**
 * Differences of what the steps answered.
 * @throws VfmigError `ERR_VFMIG_RECORDING_MISMATCH`
 */
export function compareSteps(
  left: readonly Step[],
  right: readonly Step[],
  horizon: number,
): readonly Difference[] {
  const found: Difference[] = [];
  for (let op = 0; op < Math.min(left.length, right.length, horizon); op++) {
    const [a, b] = [left[op], right[op]];
    if (a === undefined || b === undefined) continue;
    if (nameOf(a) !== nameOf(b)) throw mismatch(op, nameOf(a), nameOf(b));
    const difference = compareStep(a, b);
    if (difference !== undefined) found.push(difference);
  }
  return found;
}

function compareStep(a: Step, b: Step): Difference | undefined {
  if (a.answer?.skipped === true || b.answer?.skipped === true) return undefined;
  if (a.superseded || b.superseded) return undefined;
  const [left, right] = [outcome(a), outcome(b)];
  if (left.key === right.key) return undefined;
  const { op, event } = a;
  const name = nameOf(a);
  return {
    op,
    kind: event.kind,
    key: `${name} @${op}`,
    place: name,
    left: left.text,
    right: right.text,
  };
}

/** What the guest's side sees of a step: bytes, a value, or that it failed and with which errno. */
function outcome({ event, answer }: Step): { readonly key: string; readonly text: string } {
  const error = answer?.error;
  if (error !== undefined) {
    const { code, layer, errno, message } = error;
    return { key: `error ${errno}`, text: `${errno}: ${code} (${layer}): ${message}` };
  }
  if (event.kind === "read") {
    return { key: Buffer.from(event.data).toString("hex"), text: bytesText(event.data) };
  }
  if (event.kind === "write") return { key: "done", text: "done" };
  const { data, state, value } = answer ?? {};
  // Estimates may be anything; what was granted or saved may not. In which report a page stands depends on the
  // moment in which it was asked for.
  const { name } = event.call;
  const counts = name === "size" || name === "precopy";
  const parts = [
    ...(data === undefined || name === "log-report" ? [] : [Buffer.from(data).toString("hex")]),
    ...(state === undefined ? [] : [state]),
    ...(value === undefined || counts ? [] : [String(value)]),
  ];
  const text = [
    ...(data === undefined ? [] : [bytesText(data)]),
    ...(state === undefined ? [] : [state]),
    ...(value === undefined ? [] : [String(value)]),
  ];
  return { key: parts.join(" "), text: text.join(", ") || "done" };
}

function nameOf({ event }: Step): string {
  if (event.kind === "call") return callName(event.call);
  return `${event.kind} of ${accessName(event.region, event.offset, event.data.length)}`;
}

function callName(call: RecordedCall): string {
  switch (call.name) {
    case "irqs":
      return `interrupts ${call.action} ${call.kind}, index ${call.index}, vectors ${call.start}+${call.count}`;
    case "map":
    case "unmap":
      return `${call.name} of 0x${call.iova.toString(16)}+0x${call.size.toString(16)}`;
    case "state":
      return `migration state ${call.target}`;
    case "log-report":
      return `dirty report of 0x${call.iova.toString(16)}+0x${call.size.toString(16)}`;
    case "reset":
      return "reset";
    default:
      return `migration call ${call.name}`;
  }
}

function mismatch(op: number, left: string, right: string): VfmigError {
  return new VfmigError(
    "ERR_VFMIG_RECORDING_MISMATCH",
    `Step ${op} is a ${left} in one recording and a ${right} in the other, so they are not of one run. ` +
      "Compare a recording with its replays only.",
    { layer: "core", details: { step: op, left, right } },
  );
}
