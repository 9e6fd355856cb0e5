import type { Attribution } from "@vfmig/core";
import { table } from "./table.ts";

/** Whose a difference is, for people. */
export function attributionText(result: Attribution): string {
  return [...verdict(result), ...remarks(result)].join("\n");
}

function verdict({ layer, difference, shown, differences, steps }: Attribution): readonly string[] {
  if (difference === undefined) {
    return [
      `No difference in ${steps} steps: no layer above the base changed what the guest sees. If that is wrong, it is the base's.`,
    ];
  }
  const rows = shown.map(({ run, shows }) => [run, shows]);
  return [
    `First difference: ${difference.place}, at step ${difference.op} of ${steps}`,
    table(rows),
    `Made by: ${layer}`,
    `To leave it out: --ignore "${difference.key}". Differences in all: ${differences.length}.`,
  ];
}

function remarks({ horizon, unsteady }: Attribution): readonly string[] {
  return [
    ...(horizon === undefined
      ? []
      : [
          `Compared up to step ${horizon}: there the device was stopped or loaded, which only a driver with migration can do.`,
        ]),
    ...(unsteady.length === 0
      ? []
      : [`Left out, since the base differs from itself there: ${unsteady.join("; ")}`]),
  ];
}
