import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { nearestKey } from "./nearest-key.ts";

const known = ["name", "base", "driver", "socket", "package", "options", "integrity"];

describe("nearestKey", () => {
  test.each([
    ["drivers", "driver"],
    ["Driver", "driver"],
    ["dirver", "driver"],
    ["pacakge", "package"],
    ["integrty", "integrity"],
    ["opts", undefined],
    ["x", undefined],
    ["vendor", undefined],
  ])("for %s is %s", (key, wanted) => {
    expect(nearestKey(key, known)).toBe(wanted);
  });

  test("finds the key after any one slip in a long one", () => {
    fc.assert(
      fc.property(
        fc.constantFrom("package", "options", "integrity"),
        fc.nat({ max: 6 }),
        fc.constantFrom("drop", "double", "swap"),
        (key, at, slip) => {
          const letters = key.split("");
          if (slip === "drop") letters.splice(at, 1);
          if (slip === "double") letters.splice(at, 0, letters[at] ?? "");
          if (slip === "swap") letters.splice(at, 2, letters[at + 1] ?? "", letters[at] ?? "");
          expect(nearestKey(letters.join(""), known)).toBe(key);
        },
      ),
    );
  });

  test("does not compare an endless name", () => {
    expect(nearestKey("driver".repeat(1e5), known)).toBeUndefined();
  });
});
