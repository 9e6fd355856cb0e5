import { describe, expect, it } from "vitest";
import { createManualClock } from "../clock/manual-clock.ts";
import { FrameSource } from "../traffic/frame-source.ts";
import { LanLink } from "./lan-link.ts";
import type { FrameVerdict, WirePort } from "./port.ts";
import { Wire } from "./wire.ts";

const GUEST = "02:00:00:00:00:0a";
const TRANSIT_MS = 5;

function lan() {
  const clock = createManualClock();
  const sent: number[] = [];
  let receive: ((frame: Uint8Array) => FrameVerdict) | undefined;
  const port: WirePort = {
    transmit: (frame) => void sent.push(frame.length),
    attach: (take) => void (receive = take),
    close: () => {},
  };
  const frame = new Uint8Array(60);
  const source = new FrameSource([{ bytes: frame, flow: 3 }]);
  const ports = [{ name: "lan", link: new LanLink(port, TRANSIT_MS, clock) }];
  const wire = new Wire({ ports, guestMac: GUEST, source, fromGuest: [1], clock });
  return { clock, wire, sent, deliver: (bytes: Uint8Array) => receive?.(bytes) };
}

describe("a wire on a network that tells no verdicts", () => {
  it("takes every frame that may have met a stopped device for a possible drop, and no other", async () => {
    const { clock, wire, sent } = lan();
    wire.start(1000);
    clock.advance(100);
    const stopped = wire.stop();
    clock.advance(TRANSIT_MS);
    await stopped;
    expect(sent.length).toBeGreaterThan(90);
    wire.setWindows([{ kind: "blackout", fromMs: 40, toMs: 60 }]);
    const { drops, perWindow, refused, refusedByVerdict } = wire.report();
    const ranges = drops.flatMap((drop) => drop.ranges);
    expect(drops.map(({ kind, flow }) => [kind, flow])).toEqual([["blackout", 3]]);
    // One a millisecond: from 35 ms, since a frame is under way for 5 ms, to 60 ms.
    expect(ranges).toHaveLength(1);
    const [[from, to] = [0, 0]] = ranges;
    expect(to - from).toBe(perWindow[0]);
    expect(to - from).toBeGreaterThanOrEqual(25);
    expect(to - from).toBeLessThanOrEqual(27);
    expect([refused, refusedByVerdict]).toEqual([0, {}]);
  });

  it("hands over what comes in", () => {
    const { wire, deliver } = lan();
    const announcement = new Uint8Array(60);
    announcement.set([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 0x0a, 0x80, 0x35]);
    deliver(announcement);
    expect(wire.report().announcements).toBe(1);
  });
});
