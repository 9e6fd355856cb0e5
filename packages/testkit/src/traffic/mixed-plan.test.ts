import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatMac } from "./ethernet.ts";
import { markFrame } from "./trailer.ts";
import { planMixedTraffic } from "./mixed-plan.ts";

const GUEST = "02:00:00:00:00:0a";

describe("mixed traffic", () => {
  it("is the same for a seed, and another for another", () => {
    expect(planMixedTraffic(GUEST, 7)).toEqual(planMixedTraffic(GUEST, 7));
    expect(planMixedTraffic(GUEST, 7).toGuest).not.toEqual(planMixedTraffic(GUEST, 8).toGuest);
  });

  it("has marked frames of 60 to 9,000 bytes without their tag, both ways, for any seed", () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const plan = planMixedTraffic(GUEST, seed);
        for (const { bytes, flow } of [...plan.toGuest, ...plan.fromGuest]) {
          const tag = bytes[12] === 0x81 ? 4 : 0;
          const marked = markFrame(bytes, flow, plan.longest).stamp(0).length - tag;
          expect(marked).toBeGreaterThanOrEqual(60);
          expect(marked).toBeLessThanOrEqual(9000);
        }
        expect(plan.toGuest.every(({ bytes }) => formatMac(bytes) === GUEST)).toBe(true);
        expect(plan.fromGuest.every(({ bytes }) => formatMac(bytes, 6) === GUEST)).toBe(true);
      }),
      { numRuns: 20 },
    );
  });

  it("holds tagged frames of every VLAN that the guest is told of", () => {
    const { toGuest, vlans } = planMixedTraffic(GUEST, 1);
    const ids = toGuest
      .filter(({ bytes }) => bytes[12] === 0x81 && bytes[13] === 0)
      .map(({ bytes }) => ((bytes[14] ?? 0) << 8) | (bytes[15] ?? 0));
    expect(new Set(ids)).toEqual(new Set(vlans));
  });
});
