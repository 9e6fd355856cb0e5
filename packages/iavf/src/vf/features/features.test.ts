import { describe, expect, test } from "vitest";
import { VF_CAP, type VfCapability } from "../../virtchnl/capabilities.ts";
import { VIRTCHNL_OP } from "../../virtchnl/opcodes.ts";
import { hiddenOperation, shownCaps, uncarriedUse, VF_FEATURES } from "./index.ts";

const isShown = (capability: VfCapability, policy: "hide" | "refuse" | "allow"): boolean =>
  (shownCaps(policy) & VF_CAP[capability]) !== 0;

describe("the table of features", () => {
  test("knows every capability and every request that has a name", () => {
    const capabilities = new Set(VF_FEATURES.flatMap((feature) => feature.capabilities));
    expect(Object.keys(VF_CAP).filter((name) => !capabilities.has(name as VfCapability))).toEqual(
      [],
    );
    const operations = new Set(VF_FEATURES.flatMap((feature) => feature.operations));
    const unknown = Object.entries(VIRTCHNL_OP).filter(([, opcode]) => !operations.has(opcode));
    // The PF's to send.
    expect(unknown.map(([name]) => name)).toEqual(["EVENT"]);
  });

  test("gives each request to one feature", () => {
    const operations = VF_FEATURES.flatMap((feature) => feature.operations);
    expect(new Set(operations).size).toBe(operations.length);
  });

  test.each(VF_FEATURES)("$name: what is not carried is hidden by default", (feature) => {
    const carried = feature.fate === "carried";
    for (const opcode of feature.operations) {
      expect(hiddenOperation(opcode, "hide") === undefined).toBe(carried);
    }
    for (const capability of feature.capabilities) {
      expect(isShown(capability, "hide")).toBe(carried);
    }
  });

  test.each(VF_FEATURES)("$name: where it is not hidden, its use is refused by name", (feature) => {
    const shown = feature.fate !== "hidden";
    for (const opcode of feature.operations) {
      expect(hiddenOperation(opcode, "refuse") === undefined).toBe(shown);
      expect(uncarriedUse([opcode], "refuse").refused.join()).toContain(feature.name);
    }
    for (const capability of feature.capabilities) {
      expect(isShown(capability, "refuse")).toBe(shown);
    }
  });

  test.each(VF_FEATURES)("$name: only what a guest can do without may be lost", (feature) => {
    const mayBeLost = feature.fate === "lost";
    for (const opcode of feature.operations) {
      const { refused, lost } = uncarriedUse([opcode], "allow");
      expect([refused.length, lost.length]).toEqual(mayBeLost ? [0, 1] : [1, 0]);
    }
  });

  test("has no row for what nobody knows, which is hidden, or else refused by its number", () => {
    expect(hiddenOperation(130, "hide")).toBeDefined();
    expect(hiddenOperation(130, "allow")).toBeUndefined();
    expect(uncarriedUse([130], "allow").refused).toEqual(["opcode 130"]);
    expect(shownCaps("allow") & (1 << 13)).toBe(0);
  });
});
