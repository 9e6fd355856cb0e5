import { describe, expect, it } from "vitest";
import { createManualClock } from "../clock/manual-clock.ts";
import { createLoosePort } from "../wire/memory-port.ts";
import { GuestClock } from "../guest/guest-clock.ts";
import {
  ramIova,
  type Rig,
  newModel,
  mapRam,
  startedOn,
  udp,
  exchange,
} from "./testing/guest-rig.ts";

function devicePages(rig: Rig): number[] {
  return rig.model.truth.writtenPages().map((page) => page - Number(ramIova / 4096n));
}

describe("a guest that stands still", () => {
  it("does nothing in a pause, and takes what came meanwhile afterwards", async () => {
    const rig = await startedOn();
    rig.ram.takeWrittenPages();
    rig.driver.pause();
    for (let flow = 0; flow < 8; flow++) rig.port.deliver(udp(0x0b, 0x0a, flow));
    rig.clock.advance(60_000);
    expect(rig.received).toEqual([]);
    expect(rig.driver.send(udp(0x0a, 0x0b, 1))).toBe(false);
    expect(rig.ram.takeWrittenPages()).toEqual([]);
    rig.driver.resume();
    rig.clock.advance(1);
    expect(rig.received).toHaveLength(8);
    expect(rig.driver.counters.statistics).toBe(0);
    expect(rig.faults).toEqual([]);
  });

  it("goes on in a copy of its memory, and the old one may be destroyed", async () => {
    const rig = await startedOn();
    exchange(rig, 3000);
    rig.driver.pause();
    const old = rig.ram.bytes;
    const fresh = old.slice();
    const size = BigInt(old.length);
    void rig.model.device.unmapDma({ iova: ramIova, size });
    mapRam(rig.model.device, fresh);
    rig.driver.useMemory(fresh);
    old.fill(0xa5);
    rig.driver.resume();
    const ledgers = exchange(rig, 3000, 375);
    expect(ledgers.in.delivered + ledgers.out.delivered).toBe(6000);
    expect(ledgers.in.faults + ledgers.out.faults).toBe(0);
    expect(rig.faults).toEqual([]);
  });

  it("breaks visibly when it goes on at another device that knows nothing of it", async () => {
    const rig = await startedOn();
    exchange(rig, 100);
    const port = createLoosePort(rig.clock);
    const other = newModel(rig.clock, port, { model: { vsiId: 9 } });
    rig.driver.pause();
    const fresh = rig.ram.bytes.slice();
    mapRam(other.device, fresh);
    rig.driver.rebind({ device: other.device, memory: fresh });
    rig.driver.resume();
    rig.clock.advance(30_000);
    // The function's mailbox is off: iavf takes that for a reset.
    expect(rig.driver.counters.resets).toBe(1);
  });

  it("records every page that a frame to send is written to, before the device has touched any", async () => {
    const rig = await startedOn();
    rig.ram.takeWrittenPages();
    const before = rig.ram.bytes.slice();
    expect(rig.driver.send(udp(0x0a, 0x0b, 3, 1500).fill(0x5a, 60))).toBe(true);
    const changed: number[] = [];
    for (let page = 0; page < before.length / 4096; page++) {
      const [from, to] = [page * 4096, page * 4096 + 4096];
      const now = rig.ram.bytes.subarray(from, to);
      if (Buffer.compare(before.subarray(from, to), now) !== 0) changed.push(page);
    }
    // Two buffers of 2 KiB in one page, and the descriptors.
    expect(changed).toHaveLength(2);
    expect(rig.ram.takeWrittenPages()).toEqual(changed);
  });

  it("keeps what is left of a timer through a pause", () => {
    const clock = createManualClock();
    const guest = new GuestClock(clock);
    const ran: number[] = [];
    guest.after(10, () => ran.push(guest.now()));
    guest.after(4, () => ran.push(-1)).cancel();
    clock.advance(7);
    guest.pause();
    guest.soon(() => ran.push(guest.now()));
    clock.advance(100);
    expect(guest.now()).toBe(7);
    expect(ran).toEqual([]);
    guest.resume();
    clock.advance(2);
    expect(ran).toEqual([7]);
    clock.advance(1);
    expect(ran).toEqual([7, 10]);
    expect(clock.waiting).toBe(0);
  });

  it("misses no page between what it records and what the device writes", async () => {
    const rig = await startedOn();
    rig.clock.advance(10);
    rig.ram.takeWrittenPages();
    rig.model.truth.clearWrittenPages();
    const before = rig.ram.bytes.slice();
    exchange(rig, 500);
    const reported = new Set([...rig.ram.takeWrittenPages(), ...devicePages(rig)]);
    for (let page = 0; page < before.length / 4096; page++) {
      if (reported.has(page)) continue;
      const at = page * 4096;
      const same = Buffer.compare(
        before.subarray(at, at + 4096),
        rig.ram.bytes.subarray(at, at + 4096),
      );
      expect(same, `page ${page}`).toBe(0);
    }
    expect(reported.size).toBeLessThan(2000);
  });
});
