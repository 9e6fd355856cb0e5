import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { createManualClock } from "../clock/manual-clock.ts";
import { FlowLedger } from "./flow-ledger.ts";
import { flowName } from "./flow-name.ts";
import { FrameSource } from "./frame-source.ts";
import { Pacer } from "./pacer.ts";
import { type Pcap, readPcap } from "./pcap.ts";
import { planTraffic } from "./traffic-plan.ts";

const guest = "02:00:00:00:00:0a";
const capture = new URL("../../../../examples/demo/real-traffic.pcap", import.meta.url);

function udp4(sourceMac: number, port: number, options: { fragment?: boolean } = {}): Uint8Array {
  const frame = new Uint8Array(60);
  frame.set([2, 0, 0, 0, 0, 0xff, 2, 0, 0, 0, 0, sourceMac, 8, 0, 0x45]);
  if (options.fragment === true) frame[20] = 0x20;
  frame[23] = 17;
  frame.set([192, 0, 2, 1, 192, 0, 2, 2, 0, port, 0x04, 0xd2], 26);
  return frame;
}

function pcapOf(frames: readonly Uint8Array[]): Pcap {
  return {
    linkType: 1,
    frames: frames.map((bytes) => ({ timeUs: 0, bytes, originalLength: bytes.length })),
  };
}

describe("flowName", () => {
  it("names transport flows by both ends, and fragments apart from them", () => {
    expect(flowName(udp4(1, 80))).toBe("udp4 192.0.2.1:80 > 192.0.2.2:1234");
    expect(flowName(udp4(1, 80, { fragment: true }))).toBe("udp4 fragments 192.0.2.1 > 192.0.2.2");
  });

  it("names whatever bytes come, by their ethertype where nothing else is sure", () => {
    const short = udp4(1, 80).subarray(0, 20);
    expect(flowName(short)).toBe("ipv4 02:00:00:00:00:01 > 02:00:00:00:00:ff");
    expect(flowName(new Uint8Array(0))).toMatch(/^0x0000 /u);
  });
});

describe("planTraffic", () => {
  it("splits the recorded traffic of two hosts by who sent it", () => {
    const plan = planTraffic(readPcap(readFileSync(capture)), guest);
    expect(plan.toGuest.length + plan.fromGuest.length).toBe(2422);
    expect(plan.fromGuest).toHaveLength(876);
    expect(plan.flows).toContain("tcp4 192.0.2.2:8080 > 192.0.2.1:43302");
    expect(plan.flows).toContain("icmp6 2001:db8::1 > 2001:db8::2");
    expect(plan.multicast).toContain("33:33:00:00:00:16");
  });

  it("refuses captures that are cut, of another link type, or of one host only", () => {
    const refused = expect.objectContaining({ code: "ERR_VFMIG_TRAFFIC_CAPTURE" });
    const both = [udp4(0x0a, 1), udp4(0x0b, 1)];
    expect(() => planTraffic({ ...pcapOf(both), linkType: 113 }, guest)).toThrow(refused);
    expect(() => planTraffic(pcapOf([udp4(0x0a, 1)]), guest)).toThrow(refused);
    const cut = pcapOf(both).frames.map((frame) => ({ ...frame, originalLength: 61 }));
    expect(() => planTraffic({ linkType: 1, frames: cut }, guest)).toThrow(refused);
  });
});

describe("FrameSource", () => {
  it("offers the same frame until it is taken, and loops with rising sequence numbers", () => {
    const plan = planTraffic(pcapOf([udp4(0x0a, 1), udp4(0x0b, 1), udp4(0x0b, 2)]), guest);
    const source = new FrameSource(plan.toGuest);
    const ledger = new FlowLedger(source.flows);
    for (let i = 0; i < 7; i++) {
      expect([...source.peek()]).toEqual([...source.peek()]);
      expect(ledger.receive(source.peek())).toBe("delivered");
      source.take();
    }
    expect(source.sent().map(({ sent }) => sent)).toEqual([4, 3]);
    expect(ledger.delivered).toBe(7);
  });
});

describe("Pacer", () => {
  it("emits exactly what the rate asks for, evenly", () => {
    const clock = createManualClock();
    const perMs: number[] = [];
    let sent = 0;
    const pacer = new Pacer({ clock, rate: 5000, emit: () => ++sent > 0 });
    pacer.start();
    for (let ms = 0; ms < 100; ms++) {
      const before = sent;
      clock.advance(1);
      perMs.push(sent - before);
    }
    pacer.stop();
    expect(sent).toBeGreaterThanOrEqual(499);
    expect(sent).toBeLessThanOrEqual(502);
    expect(Math.max(...perMs)).toBeLessThanOrEqual(6);
  });

  it("catches up after a pause without one large burst, and forgives what is too old", () => {
    let now = 0;
    let turn: (() => void) | undefined;
    const clock = {
      now: () => now,
      after: (_delay: number, run: () => void) => {
        turn = run;
        return { cancel: () => (turn = undefined) };
      },
      soon: () => ({ cancel: () => undefined }),
    };
    let sent = 0;
    const pacer = new Pacer({ clock, rate: 5000, emit: () => ++sent > 0 });
    pacer.start();
    const bursts: number[] = [];
    const step = (ms: number): void => {
      const before = sent;
      now += ms;
      turn?.();
      bursts.push(sent - before);
    };
    step(500);
    for (let i = 0; i < 300; i++) step(1);
    expect(bursts[0]).toBe(32);
    expect(Math.max(...bursts.slice(1))).toBeLessThanOrEqual(11);
    expect(pacer.forgivenMs).toBeCloseTo(400, 0);
    expect(sent).toBeGreaterThanOrEqual(5 * 400 - 10);
    expect(sent).toBeLessThanOrEqual(5 * 400 + 10);
  });

  it("offers again at the next turn what found no room", () => {
    const clock = createManualClock();
    let room = false;
    let sent = 0;
    const emit = (): boolean => {
      if (room) sent++;
      return room;
    };
    const pacer = new Pacer({ clock, rate: 1000, emit });
    pacer.start();
    clock.advance(10);
    expect(sent).toBe(0);
    room = true;
    clock.advance(30);
    expect(sent).toBeGreaterThanOrEqual(39);
    pacer.stop();
    clock.advance(10);
    expect(clock.waiting).toBe(0);
  });
});
