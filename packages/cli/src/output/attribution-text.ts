import type { Attribution } from "@vfmig/core";
import { table } from "./table.ts";

/** Whose a difference is, for people. */
export function attributionText(result: Attribution): string {
  return [...verdict(result), ...remarks(result)].join("\n");
}

function verdict(result: Attribution): readonly string[] {
  const { layer, difference, unreproduced, differences, steps } = result;
  if (difference !== undefined) {
    return [
      `First difference: ${difference.place}, at step ${difference.op} of ${steps}`,
      table(rowsOf(result)),
      `Made by: ${layer}`,
      `To leave it out: --ignore "${difference.key}". Differences in all: ${differences.length}.`,
    ];
  }
  if (unreproduced !== undefined) {
    return [
      `Recorded and not seen again: ${unreproduced.place}, at step ${unreproduced.op} of ${steps}`,
      table(rowsOf(result)),
      "Made by: nobody can say. The device may have had it from outside, such as a frame from its wire, and " +
        "that was not recorded or could not be given again. Record on a base that tells of its input, as the " +
        "testkit's models do, or where nothing arrives. Up to that step no layer differs.",
    ];
  }
  return [
    `No difference in ${steps} steps: no layer above the base changed what the guest sees. If that is wrong, it is the base's.`,
  ];
}

function rowsOf({ shown }: Attribution): readonly (readonly string[])[] {
  return shown.map(({ run, shows }) => [run, shows]);
}

function remarks(result: Attribution): readonly string[] {
  const { horizon, unsteady, intended, inputGiven, difference } = result;
  return [
    ...(difference === undefined || inputGiven
      ? []
      : [
          "What reached the device from outside was not recorded: the verdict holds if each replay got the same.",
        ]),
    ...intended.map(({ place, why }) => `Changed on purpose: ${place} (${why})`),
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
