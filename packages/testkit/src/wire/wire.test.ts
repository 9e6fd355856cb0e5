import { describe, expect, it } from "vitest";
import { createManualClock } from "../clock/manual-clock.ts";
import { accountFlows } from "../traffic/accounting.ts";
import { FlowLedger } from "../traffic/flow-ledger.ts";
import { FrameSource } from "../traffic/frame-source.ts";
import { markFrame } from "../traffic/trailer.ts";
import { createMemoryWire } from "./create-wire.ts";
import type { LinkListener, PortLink } from "./link.ts";
import type { FrameVerdict, WirePort } from "./port.ts";
import { type AcceptedEvent, type MovedEvent, Wire } from "./wire.ts";

const guestMac = "02:00:00:00:00:0a";

function frameFrom(mac: number, type = 0x0800): Uint8Array {
  const frame = new Uint8Array(60);
  frame.set([2, 0, 0, 0, 0, 0xff, 2, 0, 0, 0, 0, mac, type >> 8, type & 0xff]);
  return frame;
}

function playing() {
  const clock = createManualClock();
  clock.advance(1000);
  const source = new FrameSource([
    { bytes: frameFrom(0x0b), flow: 0 },
    { bytes: frameFrom(0x0c), flow: 1 },
  ]);
  const moved: MovedEvent[] = [];
  const accepted: AcceptedEvent[] = [];
  const { wire, ports } = createMemoryWire({
    ports: ["a", "b"],
    guestMac,
    source,
    fromGuest: [2],
    clock,
    onMoved: (event) => moved.push(event),
    onAccepted: (event) => accepted.push(event),
  });
  const ledger = new FlowLedger([0, 1]);
  const state = new Map<string, FrameVerdict>([
    ["a", "accepted"],
    ["b", "accepted"],
  ]);
  for (const [name, port] of ports) {
    port.attach((frame) => {
      const verdict = state.get(name) ?? "accepted";
      if (verdict === "accepted") ledger.receive(frame);
      return verdict;
    });
  }
  const port = (name: string): WirePort => {
    const found = ports.get(name);
    if (found === undefined) throw new Error(`no port ${name}`);
    return found;
  };
  return { clock, wire, port, ledger, state, moved, accepted };
}

describe("Wire", () => {
  it("plays its source by its own clock into the connected port only", () => {
    const { clock, wire, ledger, accepted } = playing();
    wire.start(1000);
    clock.advance(50);
    expect(wire.progress()).toMatchObject({ connected: "a", refused: 0 });
    expect(wire.progress().sent).toBeGreaterThanOrEqual(50);
    expect(ledger.delivered).toBe(wire.progress().sent);
    expect(accepted).toEqual([{ port: "a", timeMs: 1000 }]);
  });

  it("tells when a device takes its first frame, and when it takes frames again", () => {
    const { clock, wire, state, accepted } = playing();
    wire.start(1000);
    clock.advance(5);
    state.set("a", "queue-disabled");
    clock.advance(5);
    state.set("a", "accepted");
    clock.advance(5);
    expect(accepted.map(({ timeMs }) => timeMs)).toEqual([1000, 1011]);
  });

  it("moves the connection to where a frame of the guest comes in, and to no other", () => {
    const { clock, wire, port, state, moved } = playing();
    state.set("b", "filtered");
    wire.start(1000);
    port("b").transmit(frameFrom(0x0b));
    expect(wire.connected).toBe("a");
    port("b").transmit(frameFrom(0x0a, 0x8035));
    expect(moved).toEqual([{ from: "a", to: "b", timeMs: 1000 }]);
    clock.advance(10);
    expect(wire.report().refusedByVerdict.filtered).toBeGreaterThanOrEqual(10);
    expect(wire.report()).toMatchObject({ announcements: 1, moves: 1 });
  });

  it("balances a move: frames of the stopped device inside the window are blackout, others lost", async () => {
    const { clock, wire, port, ledger, state, accepted } = playing();
    wire.start(1000);
    clock.advance(20);
    state.set("a", "queue-disabled");
    const fromMs = clock.now();
    clock.advance(7);
    state.set("a", "no-descriptor");
    clock.advance(2);
    port("b").transmit(frameFrom(0x0a, 0x0806));
    clock.advance(1);
    const toMs = accepted.at(-1)?.timeMs ?? 0;
    expect(accepted.at(-1)?.port).toBe("b");
    clock.advance(10);
    const stopped = wire.stop();
    await stopped;
    wire.setWindows([{ kind: "blackout", fromMs, toMs }]);
    const report = wire.report();
    const flows = accountFlows({
      direction: "toGuest",
      names: ["x", "y"],
      sent: report.sentFlows,
      received: ledger.snapshot(),
      drops: report.drops,
    });
    const sum = (key: "sent" | "delivered" | "duringBlackout" | "lost"): number =>
      flows.reduce((total, flow) => total + flow[key], 0);
    expect(sum("sent")).toBe(report.sent);
    expect(sum("duringBlackout")).toBe(7);
    expect(sum("lost")).toBe(2);
    expect(sum("delivered")).toBe(report.sent - 9);
    expect(report.perWindow).toEqual([7]);
  });

  it("counts a missing descriptor as a switch's where a queue changes its rings, and nowhere else", () => {
    const { clock, wire, state } = playing();
    state.set("a", "no-descriptor");
    wire.start(1000);
    clock.advance(5);
    const window = { fromMs: 0, toMs: clock.now() + 10 };
    wire.setWindows([{ kind: "blackout", ...window }]);
    expect(wire.report()).toMatchObject({ drops: [], perWindow: [0] });
    wire.setWindows([{ kind: "switch", ...window }]);
    expect(wire.report().perWindow[0]).toBe(wire.report().refused);
    expect(wire.report().refused).toBeGreaterThan(0);
  });

  it("counts drops of a stopped queue as lost outside of every window", () => {
    const { clock, wire, state } = playing();
    state.set("a", "queue-disabled");
    wire.start(1000);
    clock.advance(5);
    wire.setWindows([{ kind: "blackout", fromMs: clock.now() + 1, toMs: clock.now() + 9 }]);
    expect(wire.report()).toMatchObject({ drops: [], perWindow: [0] });
    expect(wire.report().refusedByVerdict["queue-disabled"]).toBeGreaterThan(0);
  });

  it("checks what the guest sends, frame by frame", () => {
    const { wire, port } = playing();
    const marked = markFrame(frameFrom(0x0a), 2);
    for (const sequence of [0, 1, 1, 3, 2]) port("a").transmit(marked.stamp(sequence));
    const broken = marked.stamp(4);
    broken[30] = 1;
    port("a").transmit(broken);
    port("a").transmit(frameFrom(0x0a));
    expect(wire.report().fromGuest).toEqual({
      flows: [
        { flow: 2, delivered: 4, duplicated: 1, reordered: 1, corrupted: 1, ranges: [[0, 4]] },
      ],
      unmarked: 1,
      corruptedElsewhere: 0,
    });
  });

  it("keeps the order of sending across a move, though the old port's last frames come late", () => {
    const clock = createManualClock();
    const listeners: LinkListener[] = [];
    const pings: number[] = [];
    const link = (): PortLink => ({
      listen: (listener) => void listeners.push(listener),
      send: () => true,
      ping: (token) => void pings.push(token),
      connect: () => undefined,
      close: () => undefined,
    });
    const order: number[] = [];
    const wire = new Wire({
      ports: ["a", "b"].map((name) => ({ name, link: link() })),
      guestMac,
      fromGuest: [2],
      clock,
      onFrame: (frame) => order.push(frame[60 + 8] ?? -1),
    });
    const marked = markFrame(frameFrom(0x0a), 2);
    const [a, b] = listeners;
    a?.frame(marked.stamp(0));
    b?.frame(marked.stamp(2));
    expect(wire.connected).toBe("b");
    a?.frame(marked.stamp(1));
    expect(wire.connected).toBe("b");
    a?.pong(pings.at(-1) ?? 0);
    b?.frame(marked.stamp(3));
    expect(order).toEqual([0, 1, 2, 3]);
    expect(wire.report().fromGuest.flows[0]).toMatchObject({ delivered: 4, reordered: 0 });
    a?.frame(marked.stamp(4));
    expect(wire.connected).toBe("a");
  });
});
