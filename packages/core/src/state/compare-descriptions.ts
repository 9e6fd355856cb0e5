import type { SubDriverDefinition } from "../sub-driver/definition.ts";
import type { DeviceDescription, Incompatibility } from "../sub-driver/description.ts";
import { deviceDescriptionSchema } from "./state-header.ts";

/** The part of a sub-driver that a comparison needs; no device is attached for it. */
export type ComparingDriver = Pick<SubDriverDefinition, "name" | "compare">;

/**
 * Why `target` cannot take what `source` is and uses; empty if it can. Core looks first at shape,
 * driver, state version and device ids; the plugin is asked only where these agree. A plugin that
 * throws or answers nonsense counts as a reason, never as a yes.
 */
export function compareDescriptions(
  definition: ComparingDriver,
  source: DeviceDescription,
  target: DeviceDescription,
): readonly Incompatibility[] {
  const shape = [...shapeReasons("source", source), ...shapeReasons("target", target)];
  if (shape.length > 0) return shape;
  const own = coreReasons(definition, source, target);
  if (own.length > 0 || definition.compare === undefined) return own;
  let answer: unknown;
  try {
    answer = definition.compare(source, target);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return [pluginFault(definition, `its compare threw: ${why}`)];
  }
  return isAnswer(answer)
    ? answer
    : [pluginFault(definition, "its compare did not answer with a list of reasons")];
}

function shapeReasons(side: "source" | "target", description: unknown): Incompatibility[] {
  const result = deviceDescriptionSchema.safeParse(description);
  if (result.success) return [];
  return result.error.issues.map((issue) => ({
    field: [side, ...issue.path.map(String)].join("."),
    source: undefined,
    target: undefined,
    reason: `The ${side}'s description is malformed: ${issue.message}. Update vfmig or the plugin there.`,
  }));
}

function coreReasons(
  definition: ComparingDriver,
  source: DeviceDescription,
  target: DeviceDescription,
): Incompatibility[] {
  const reasons: Incompatibility[] = [];
  const add = (field: string, left: unknown, right: unknown, reason: string): void => {
    reasons.push({ field, source: left, target: right, reason });
  };
  if (source.driver.name !== target.driver.name) {
    const reason =
      "Another driver runs on the target; name the source's driver in its configuration.";
    add("driver.name", source.driver.name, target.driver.name, reason);
  } else if (source.driver.name !== definition.name) {
    const reason = `This plugin ("${definition.name}") cannot judge devices of another driver.`;
    add("driver.name", source.driver.name, target.driver.name, reason);
  }
  if (!target.state.reads.includes(source.state.version)) {
    const reason =
      `The source writes state version ${source.state.version}, the target reads ` +
      `${target.state.reads.join(", ")}; use plugin versions that share one.`;
    add("state.version", source.state.version, target.state.reads, reason);
  }
  for (const field of ["vendor", "device"] as const) {
    const left = source.device[field];
    const right = target.device[field];
    if (left === right) continue;
    const reason = "The guest has bound its driver to this PCI id; choose a target with the same.";
    add(`device.${field}`, left, right, reason);
  }
  return reasons;
}

function pluginFault(definition: ComparingDriver, what: string): Incompatibility {
  return {
    field: "driver.compare",
    source: undefined,
    target: undefined,
    reason: `Plugin "${definition.name}" could not compare: ${what}. Report it to the plugin's author.`,
  };
}

function isAnswer(answer: unknown): answer is readonly Incompatibility[] {
  return (
    Array.isArray(answer) &&
    answer.every(
      (entry: unknown) =>
        typeof entry === "object" &&
        entry !== null &&
        "field" in entry &&
        typeof entry.field === "string" &&
        "reason" in entry &&
        typeof entry.reason === "string",
    )
  );
}
