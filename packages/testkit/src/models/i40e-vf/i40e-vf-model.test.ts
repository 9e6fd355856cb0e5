import { RX_STATUS, rxLength, txDone } from "@vfmig/iavf";
import { describe, expect, test } from "vitest";
import { ethernet } from "../intel-vf/testing/frames.ts";
import { IOVA, PEER_MAC, RIG_MAC, startedRig } from "../intel-vf/testing/rig.ts";

describe("a function brought up as Linux does it", () => {
  test("takes a frame from the wire into the first posted buffer and raises the queue's vector", () => {
    const rig = startedRig();
    const frame = ethernet(RIG_MAC, PEER_MAC, 0x88b5, new Uint8Array(100).fill(7));
    expect(rig.port.deliver(frame)).toBe("accepted");
    const back = rig.rxBack(0, 0);
    expect(back.low & 0xff).toBe(RX_STATUS.DD | RX_STATUS.EOP);
    expect(rxLength(back.high)).toBe(frame.length);
    const at = rig.rxBuffer(0, 0);
    expect(rig.memory.slice(at, at + frame.length)).toEqual(frame);
    expect(rig.signals[1]).toBe(1);
  });

  test("sends a frame in the turn after the tail write and reports it done", () => {
    const rig = startedRig();
    const frame = ethernet(PEER_MAC, RIG_MAC, 0x88b5, new Uint8Array(100).fill(9));
    const place = rig.putTx(0, 0, frame);
    rig.write(0x0000, 1);
    expect(rig.port.sent).toHaveLength(0);
    rig.clock.runSoon();
    expect(rig.port.sent).toEqual([frame]);
    expect(txDone(rig.data, place)).toBe(true);
    expect(rig.data.getUint32(place, true)).toBe((IOVA + rig.txBuffer(0, 0)) >>> 0);
    expect(rig.signals[1]).toBe(1);
  });
});
