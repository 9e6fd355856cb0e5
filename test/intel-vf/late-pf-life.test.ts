import { describe, expect, test } from "vitest";
import { FAMILIES } from "./rig/family.ts";
import { live, newTally } from "./rig/late-life.ts";

/** Lives that have found something once; `VFMIG_LATE_SEEDS=first-last` for others. */
const FOUND = [4, 5, 6, 9, 16, 102, 131];
const [FIRST, LAST = FIRST] = (process.env["VFMIG_LATE_SEEDS"] ?? "").split("-").map(Number);
const SEEDS =
  FIRST === undefined || LAST === undefined || FIRST === 0
    ? FOUND
    : Array.from({ length: LAST - FIRST + 1 }, (_, n) => FIRST + n);

describe.each(FAMILIES)("$name", (family) => {
  test(
    "A PF that answers around its limit costs a guest that stops, logs and goes back no frame that was taken, and no guest stands still",
    async () => {
      const tally = newTally();
      const found: object[] = [];
      for (const seed of SEEDS) {
        // oxlint-disable-next-line no-await-in-loop -- one life after the other
        const wrongs = await live(family, seed, tally).catch((error: unknown) => [String(error)]);
        if (wrongs.length > 0) {
          found.push({ family: family.name, seed, wrongs });
        }
      }
      expect(found).toEqual([]);
      const never = Object.entries(tally).filter(([, count]) => count === 0);
      expect(never).toEqual([]);
    },
    10_000 * SEEDS.length,
  );
});
