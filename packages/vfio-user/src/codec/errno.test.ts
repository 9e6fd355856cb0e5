import { VfmigError } from "@vfmig/core";
import { describe, expect, it } from "vitest";
import { describeErrno, errnoOf, refusal } from "./errno.ts";

describe("the errno of an error reply", () => {
  it.each([
    [5, "a plain error", new Error("x")],
    [5, "a thrown string", "x"],
    [22, "a region out of range", new VfmigError("ERR_VFMIG_REGION_RANGE", "", { layer: "core" })],
    [16, "a refusal of ours", refusal("EBUSY", "")],
    [25, "a name in the details", failing({ errno: "ENOTTY" })],
    [9, "a system call's number", failing({ errno: "EBADF", errnoNumber: 9 })],
    [5, "a number out of range", failing({ errno: -1 })],
    [5, "a name of the prototype", failing({ errno: "toString" })],
  ])("is %i for %s", (expected, _name, error) => {
    expect(errnoOf(error)).toBe(expected);
  });

  it("is shown by name where it has one", () => {
    expect(describeErrno(22)).toBe("EINVAL (22)");
    expect(describeErrno(4000)).toBe("errno 4000");
  });
});

function failing(details: Readonly<Record<string, unknown>>): VfmigError {
  return new VfmigError("ERR_VFMIG_SYSTEM_CALL", "", { layer: "linux", details });
}
