import { expect, test } from "vitest";
import { errnoName } from "./errno.ts";

test("errnos have the names of the manual pages", () => {
  expect([1, 11, 32, 35, 95, 104].map(errnoName)).toEqual([
    "EPERM",
    "EAGAIN",
    "EPIPE",
    "EDEADLK",
    "EOPNOTSUPP",
    "ECONNRESET",
  ]);
});

test("a number that is no errno is named as such", () => {
  expect(errnoName(4711)).toBe("errno 4711");
});
