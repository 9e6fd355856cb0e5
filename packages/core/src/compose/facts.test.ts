import { expect, it } from "vitest";
import { composed } from "../testing/composed.ts";

it("Facts that somebody with privileges granted reach the sub-driver, and there are none by default", async () => {
  const facts = { macPolicy: "locked" };
  const granted = await composed({}, { facts });
  expect(granted.sub.context?.facts).toEqual(facts);
  expect((await composed()).sub.context?.facts).toEqual({});
});
