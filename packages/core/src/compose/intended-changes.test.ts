import { expect, it } from "vitest";
import type { IntendedChange } from "../sub-driver/intended-change.ts";
import { composed } from "../testing/composed.ts";

it("What a sub-driver intends reaches who listens to its device, and nobody else", async () => {
  const it = await composed();
  const other = await composed();
  const heard: IntendedChange[] = [];
  it.device.onIntended?.((change) => heard.push(change));
  const change = { iova: 0x1000, mask: Uint8Array.of(0xff), why: "hidden" };
  it.sub.context?.intends?.(change);
  other.sub.context?.intends?.({ ...change, why: "elsewhere" });
  expect(heard).toEqual([change]);
});
