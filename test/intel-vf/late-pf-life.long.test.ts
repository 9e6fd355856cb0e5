import { describe, expect, test } from "vitest";
import { FAMILIES } from "./rig/family.ts";
import { live, newTally, type Pace } from "./rig/late-life.ts";

/** Lives that have found something once; `VFMIG_LATE_SEEDS=first-last` for others. */
const FOUND: readonly (readonly [Pace, readonly number[]])[] = [
  ["around", [4, 5, 6, 9, 16, 102, 131]],
  ["beyond", [31, 38, 58, 110]],
];
const [FIRST, LAST = FIRST] = (process.env["VFMIG_LATE_SEEDS"] ?? "").split("-").map(Number);
const OTHERS =
  FIRST === undefined || LAST === undefined || FIRST === 0
    ? undefined
    : Array.from({ length: LAST - FIRST + 1 }, (_, n) => FIRST + n);
const LIVES = FOUND.flatMap(([pace, found]) =>
  (OTHERS ?? found).map((seed) => ({ pace, seed }) as const),
);

describe.each(FAMILIES)("$name", (family) => {
  test(
    "A PF that answers around its limit costs a guest that stops, logs and goes back no frame that was taken, and no guest stands still",
    async () => {
      const tally = newTally();
      const found: object[] = [];
      for (const { pace, seed } of LIVES) {
        // oxlint-disable-next-line no-await-in-loop -- one life after the other
        const wrongs = await live(family, pace, seed, tally).catch((error: unknown) => [
          String(error),
        ]);
        if (wrongs.length > 0) {
          found.push({ family: family.name, pace, seed, wrongs });
        }
      }
      expect(found).toEqual([]);
      const never = Object.entries(tally).filter(([, count]) => count === 0);
      expect(never).toEqual([]);
    },
    10_000 * LIVES.length,
  );
});
