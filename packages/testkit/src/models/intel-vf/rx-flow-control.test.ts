import { buildQueueSelect, VIRTCHNL_OP as OP } from "@vfmig/iavf";
import { describe, expect, test } from "vitest";
import { inward } from "./testing/plain-frames.ts";
import { type Rig, VF_KINDS, rigsOf } from "./testing/rig.ts";

const LENGTH = 64;

function deliver(rig: Rig, count: number): void {
  for (let n = 0; n < count; n++) expect(rig.port.deliver(inward(100, n))).toBe("accepted");
}

describe.each(VF_KINDS)("%s, when descriptors run out", (kind) => {
  const { startedRig } = rigsOf(kind);

  test("asks its link partner to hold frames below a quarter of the ring, once", () => {
    const rig = startedRig(1, {}, LENGTH);
    // Tails count in eights: 56 are posted, and 15 are fewer than a quarter of 64.
    deliver(rig, 40);
    expect(rig.port.pauses).toEqual([]);
    deliver(rig, 5);
    expect(rig.port.pauses).toEqual([true]);
  });

  test("lets it go on when half of the ring is posted again, and not before", () => {
    const rig = startedRig(1, {}, LENGTH);
    deliver(rig, 50);
    rig.rxTail(0, 8);
    expect(rig.port.pauses).toEqual([true]);
    rig.rxTail(0, 24);
    expect(rig.port.pauses).toEqual([true, false]);
  });

  test("lets it go on when the queue stops, whatever is posted", () => {
    const rig = startedRig(1, {}, LENGTH);
    deliver(rig, 50);
    const select = { vsiId: rig.vsiId, txQueues: 1, rxQueues: 1 };
    rig.answer(OP.DISABLE_QUEUES, buildQueueSelect(select));
    expect(rig.port.pauses).toEqual([true, false]);
    expect(rig.port.deliver(inward(100, 1))).toBe("queue-disabled");
    expect(rig.port.pauses).toEqual([true, false]);
  });

  test("lets it go on after a reset", () => {
    const rig = startedRig(1, {}, LENGTH);
    deliver(rig, 50);
    void rig.device.reset();
    rig.clock.advance(100);
    expect(rig.port.pauses).toEqual([true, false]);
  });
});
