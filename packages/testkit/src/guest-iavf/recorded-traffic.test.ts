import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { createManualClock } from "../clock/manual-clock.ts";
import { createI40eVfModel } from "../models/i40e-vf/i40e-vf-model.ts";
import { accountFlows } from "../traffic/accounting.ts";
import { FlowLedger } from "../traffic/flow-ledger.ts";
import { FrameSource } from "../traffic/frame-source.ts";
import { Pacer } from "../traffic/pacer.ts";
import { readPcap } from "../traffic/pcap.ts";
import { planTraffic } from "../traffic/traffic-plan.ts";
import { createMemoryWire } from "../wire/create-wire.ts";
import type { GuestFault } from "../guest/fault.ts";
import { GuestRam } from "../guest/guest-ram.ts";
import { directEvent } from "../guest/options.ts";
import { createGuestDriver } from "./driver.ts";

const capture = new URL("../../../../examples/demo/real-traffic.pcap", import.meta.url);
const guestMac = "02:00:00:00:00:0a";

/** A guest, a VF and a wire that plays the recorded traffic; `stopMs` is a pause of the guest. */
async function play(stopMs: number) {
  const clock = createManualClock();
  const plan = planTraffic(readPcap(readFileSync(capture)), guestMac);
  const { wire, ports } = createMemoryWire({
    ports: ["a"],
    guestMac,
    source: new FrameSource(plan.toGuest),
    fromGuest: plan.fromGuest.map(({ flow }) => flow),
    clock,
  });
  const port = ports.get("a");
  if (port === undefined) throw new Error("no port");
  const { device } = createI40eVfModel({ name: "vf0", mac: guestMac, vsiId: 3, port, clock });
  const bytes = new Uint8Array(32 << 20);
  const ram = new GuestRam({ bytes, iova: 0n });
  const size = BigInt(bytes.length);
  void device.mapDma({ iova: 0n, size, read: true, write: true, memory: { bytes } });
  const ledger = new FlowLedger(plan.toGuest.map(({ flow }) => flow));
  const faults: GuestFault[] = [];
  const driver = createGuestDriver({
    device,
    ram,
    clock,
    createEvent: directEvent,
    onFrame: (frame) => void ledger.receive(frame),
    onFault: (fault) => faults.push(fault),
    multicast: plan.multicast,
  });
  const started = driver.start();
  clock.advance(1000);
  await started;
  const source = new FrameSource(plan.fromGuest);
  const emit = (): boolean => {
    if (!driver.send(source.peek())) return false;
    source.take();
    return true;
  };
  const pacer = new Pacer({ clock: driver.clock, rate: 2800, emit });
  wire.start(5000);
  pacer.start();
  clock.advance(700);
  driver.pause();
  clock.advance(stopMs);
  driver.resume();
  clock.advance(700);
  pacer.stop();
  await wire.stop();
  clock.advance(10);
  const report = wire.report();
  const names = plan.flows;
  const received = ledger.snapshot();
  const toGuest = accountFlows({ direction: "toGuest", names, sent: report.sentFlows, received });
  const fromGuest = accountFlows({
    direction: "fromGuest",
    names,
    sent: source.sent(),
    received: report.fromGuest,
  });
  return { toGuest, fromGuest, report, driver, faults };
}

const faulty = (flow: { lost: number; duplicated: number; reordered: number; corrupted: number }) =>
  flow.lost + flow.duplicated + flow.reordered + flow.corrupted > 0;

describe("a guest, a VF and a wire with recorded traffic", () => {
  it("loses, doubles, reorders and changes no frame of any flow, in loops and through a pause", async () => {
    const { toGuest, fromGuest, report, driver, faults } = await play(40);
    expect(faults).toEqual([]);
    expect([...toGuest, ...fromGuest].filter(faulty)).toEqual([]);
    expect(report.sent).toBeGreaterThanOrEqual(7200);
    expect(report.received).toBeGreaterThan(3900);
    expect(report).toMatchObject({ refused: 0, overruns: 0, announcements: 0 });
    expect(driver.indices.filter((pair) => pair.txNextToUse !== pair.txNextToClean)).toEqual([]);
  });

  it("shows as lost, by flow, what a guest that stands still too long cannot take", async () => {
    const { toGuest, report, faults } = await play(400);
    expect(faults).toEqual([]);
    const lost = toGuest.reduce((sum, flow) => sum + flow.lost, 0);
    expect(lost).toBe(report.refusedByVerdict["no-descriptor"]);
    expect(lost).toBeGreaterThan(100);
  });
});
