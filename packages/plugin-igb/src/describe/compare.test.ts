import type { DeviceDescription } from "@vfmig/core";
import { describe, expect, it } from "vitest";
import { compare } from "./compare.ts";

const MAC = "02:00:00:00:00:0a";

function description(changes: Partial<DeviceDescription> = {}): DeviceDescription {
  return {
    driver: { name: "igb-vf", version: "0.1.0" },
    state: { version: 1, reads: [1] },
    device: { vendor: 0x8086, device: 0x10ca },
    offers: { bar0Size: 0x4000, vectors: 3, address: { assigned: null, changeable: true } },
    uses: { bar0Size: 0x4000, vectors: 3, mac: MAC, uncarried: [] },
    ...changes,
  };
}

const offering = (address: unknown): DeviceDescription =>
  description({ offers: { bar0Size: 0x4000, vectors: 3, address } });

describe("a comparison before the stop", () => {
  it("finds nothing against a VF whose address is free, or the guest's already", () => {
    expect(compare(description(), description())).toEqual([]);
    expect(compare(description(), offering({ assigned: MAC, changeable: false }))).toEqual([]);
    expect(
      compare(description(), offering({ assigned: "02:00:00:00:00:0c", changeable: true })),
    ).toEqual([]);
  });

  it("refuses a VF whose administrator pinned another address, and says what to do", () => {
    const target = offering({ assigned: "02:00:00:00:00:0c", changeable: false });
    const [found, ...more] = compare(description(), target);
    expect(more).toEqual([]);
    expect(found).toMatchObject({ field: "mac", source: MAC, target: "02:00:00:00:00:0c" });
    expect(found?.reason).toMatch(/trust on/u);
  });

  it("refuses a VF that another guest uses, and one that says nothing", () => {
    expect(compare(description(), offering(undefined))).toMatchObject([{ field: "mac" }]);
    expect(compare(description(), offering("yes"))).toMatchObject([{ field: "mac" }]);
  });

  it("lets an idle guest go anywhere", () => {
    const idle = description({ uses: { bar0Size: 0x4000, vectors: 3, mac: null, uncarried: [] } });
    expect(compare(idle, offering({ assigned: MAC, changeable: false }))).toEqual([]);
  });

  it("names what differs in the layout", () => {
    const other = description({
      offers: { bar0Size: 0x8000, vectors: 5, address: { assigned: null, changeable: true } },
    });
    expect(compare(description(), other).map(({ field }) => field)).toEqual([
      "bar0Size",
      "vectors",
    ]);
  });

  it("refuses what nobody can repeat", () => {
    const source = description({
      uses: { bar0Size: 0x4000, vectors: 3, mac: MAC, uncarried: ["operation 0x44"] },
    });
    expect(compare(source, description())).toMatchObject([{ field: "uses.operation 0x44" }]);
  });
});
