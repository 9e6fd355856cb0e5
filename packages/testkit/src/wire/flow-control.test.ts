import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { createManualClock } from "../clock/manual-clock.ts";
import { FrameSource } from "../traffic/frame-source.ts";
import { createMemoryWire } from "./create-wire.ts";
import type { LinkListener, PortLink } from "./link.ts";
import type { WirePort } from "./port.ts";
import { connectWirePort } from "./socket-link.ts";
import { listenWirePort } from "./socket-port.ts";
import { Wire } from "./wire.ts";

const guestMac = "02:00:00:00:00:0a";
const frame = (): Uint8Array => new Uint8Array(60);

function playing(flowControl: boolean) {
  const clock = createManualClock();
  const { wire, ports } = createMemoryWire({
    ports: ["a"],
    guestMac,
    source: new FrameSource([{ bytes: frame(), flow: 0 }]),
    clock,
    flowControl,
  });
  const port = ports.get("a") as WirePort;
  let taken = 0;
  port.attach(() => (taken++, "accepted"));
  wire.start(1000);
  return { clock, wire, port, taken: () => taken };
}

/** A port that answers nothing by itself. */
class SlowLink implements PortLink {
  readonly pings: number[] = [];
  sent = 0;
  listener: LinkListener | undefined;

  listen(listener: LinkListener): void {
    this.listener = listener;
  }

  send(): boolean {
    this.sent++;
    return true;
  }

  ping(token: number): void {
    this.pings.push(token);
  }

  connect(): void {}
  close(): void {}
}

describe("flow control of a link", () => {
  it("holds frames while the port asks for it, and tells for how long", () => {
    const { clock, wire, port, taken } = playing(true);
    clock.advance(20);
    const before = taken();
    port.pause?.(true);
    clock.advance(100);
    expect(taken()).toBe(before);
    port.pause?.(false);
    clock.advance(100);
    expect(taken()).toBeGreaterThan(before + 50);
    expect(wire.report().heldMs).toBeGreaterThan(90);
    expect(wire.report().heldMs).toBeLessThan(110);
    expect(wire.progress().sent).toBe(taken());
  });

  it("holds them for half a second at most, so that a device which is stuck shows as one", () => {
    const { clock, wire, port, taken } = playing(true);
    clock.advance(20);
    port.pause?.(true);
    clock.advance(2000);
    expect(taken()).toBeGreaterThan(1000);
    expect(wire.report().heldMs).toBe(500);
  });

  it("is not there unless it is asked for", () => {
    const { clock, wire, port, taken } = playing(false);
    clock.advance(20);
    port.pause?.(true);
    clock.advance(100);
    expect(taken()).toBeGreaterThan(100);
    expect(wire.report().heldMs).toBe(0);
  });

  it("keeps few frames under way to a port that comes late", () => {
    const clock = createManualClock();
    const link = new SlowLink();
    const wire = new Wire({
      ports: [{ name: "a", link }],
      guestMac,
      source: new FrameSource([{ bytes: frame(), flow: 0 }]),
      clock,
      flowControl: true,
    });
    wire.start(1000);
    clock.advance(200);
    expect(link.sent).toBe(24);
    for (const token of link.pings.splice(0)) link.listener?.pong(token);
    clock.advance(100);
    expect(link.sent).toBe(48);
  });

  it("goes over sockets", async () => {
    const folder = mkdtempSync(join(tmpdir(), "pause-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const port = await listenWirePort(join(folder, "a.wire"));
    onTestFinished(() => port.close());
    const link = await connectWirePort(join(folder, "a.wire"));
    onTestFinished(() => link.close());
    const heard: boolean[] = [];
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const answered = Promise.withResolvers<undefined>();
    link.listen({
      frame: () => {},
      verdict: () => {},
      pong: () => answered.resolve(undefined),
      paused: (on) => {
        heard.push(on);
        if (heard.length === 2) resolve(undefined);
      },
      closed: () => {},
    });
    link.ping(1);
    await answered.promise;
    port.pause?.(true);
    port.pause?.(false);
    await promise;
    expect(heard).toEqual([true, false]);
  });
});
