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
      `Made by: nobody can say, since no replay shows it. ${reasons(result)} Up to that step no layer differs.`,
    ];
  }
  return [
    `No difference in ${steps} steps: no layer above the base changed what the guest sees. If that is wrong, it is the base's.`,
  ];
}

/** What else than a layer can be the reason. */
function reasons({ inputGiven }: Attribution): string {
  const moment =
    "it may have come at another moment, since a guest goes on writing while its device works: record again, " +
    "slower, or attribute again.";
  if (inputGiven) return `What came from outside was given again; ${moment}`;
  return (
    "The device may have had it from outside, such as a frame of its wire, which was not recorded or could not " +
    "be given again, as with all hardware. What to do: record on a base that tells of its input, as the testkit's " +
    "models do; or serve the device again with --mode base, then --mode transparent, under the same traffic, and see " +
    `with which of them the fault is gone; --trace shows each message. Or ${moment}`
  );
}

function rowsOf({ shown }: Attribution): readonly (readonly string[])[] {
  return shown.map(({ run, shows }) => [run, shows]);
}

function remarks(result: Attribution): readonly string[] {
  const { horizon, unsteady, intended, inputGiven, difference, differences } = result;
  const repeated = !differences.some(
    ({ between, key }) => between === "recorded, replayed" && key === difference?.key,
  );
  return [
    ...(difference === undefined || difference.kind !== "memory" || repeated
      ? []
      : [
          "The recording itself shows something else there: attribute again before you believe it.",
        ]),
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
