import type { VfioDevice } from "@vfmig/core";
import { VF_REGISTER } from "@vfmig/iavf";
import { describe, expect, it } from "vitest";
import { createManualClock, type ManualClock } from "../clock/manual-clock.ts";
import {
  createI40eVfModel,
  type CreateI40eVfModelOptions,
  type I40eVfModel,
} from "../models/i40e-vf/i40e-vf-model.ts";
import { createE810VfModel } from "../models/e810-vf/e810-vf-model.ts";
import { FlowLedger } from "../traffic/flow-ledger.ts";
import { markFrame } from "../traffic/trailer.ts";
import { createLoosePort, type LoosePort } from "../wire/memory-port.ts";
import type { GuestFault } from "../guest/fault.ts";
import { GuestClock } from "../guest/guest-clock.ts";
import { GuestRam } from "../guest/guest-ram.ts";
import { directEvent, type GuestDriver, type GuestDriverOptions } from "../guest/options.ts";
import { createGuestDriver } from "./driver.ts";

const guestMac = "02:00:00:00:00:0a";
const ramIova = 0x1_0000_0000n;

interface Rig {
  readonly clock: ManualClock;
  readonly port: LoosePort;
  readonly model: I40eVfModel;
  readonly ram: GuestRam;
  readonly driver: GuestDriver;
  readonly received: Uint8Array[];
  readonly faults: GuestFault[];
}

const KINDS = ["i40e-vf", "e810-vf"] as const;
type Kind = (typeof KINDS)[number];

interface RigOptions {
  /** Default: a 700-series VF. */
  readonly kind?: Kind;
  readonly model?: Partial<CreateI40eVfModelOptions>;
  readonly driver?: Partial<GuestDriverOptions>;
  readonly wrap?: (device: VfioDevice) => VfioDevice;
}

function newModel(clock: ManualClock, port: LoosePort, options: RigOptions): I40eVfModel {
  const vf = { name: "vf0", mac: guestMac, port: port.port, clock };
  if (options.kind !== "e810-vf") return createI40eVfModel({ ...vf, vsiId: 7, ...options.model });
  return createE810VfModel({ ...vf, ...options.model });
}

function mapRam(device: VfioDevice, bytes: Uint8Array): void {
  const size = BigInt(bytes.length);
  void device.mapDma({ iova: ramIova, size, read: true, write: true, memory: { bytes } });
}

function newRig(options: RigOptions = {}): Rig {
  const clock = createManualClock();
  const port = createLoosePort(clock);
  const model = newModel(clock, port, options);
  const ram = new GuestRam({ bytes: new Uint8Array(32 << 20), iova: ramIova });
  mapRam(model.device, ram.bytes);
  const received: Uint8Array[] = [];
  const faults: GuestFault[] = [];
  const driver = createGuestDriver({
    device: options.wrap?.(model.device) ?? model.device,
    ram,
    clock,
    createEvent: directEvent,
    onFrame: (frame) => received.push(frame.slice()),
    onFault: (fault) => faults.push(fault),
    ...options.driver,
  });
  return { clock, port, model, ram, driver, received, faults };
}

async function startedOn(options: RigOptions = {}): Promise<Rig> {
  const rig = newRig(options);
  const started = rig.driver.start();
  rig.clock.advance(1000);
  await started;
  return rig;
}

/** A UDP frame; `flow` chooses the ports, and with them the queues. */
function udp(from: number, to: number, flow: number, length = 100): Uint8Array {
  const frame = new Uint8Array(length);
  frame.set([2, 0, 0, 0, 0, to, 2, 0, 0, 0, 0, from, 8, 0, 0x45, 0]);
  frame.set([(length - 14) >> 8, (length - 14) & 0xff], 16);
  frame.set([64, 17], 22);
  frame.set([192, 0, 2, from, 192, 0, 2, to, 0x10, flow, 0x20, flow], 26);
  frame.set([(length - 34) >> 8, (length - 34) & 0xff], 38);
  let sum = 0;
  for (let at = 14; at < 34; at += 2) sum += ((frame[at] ?? 0) << 8) | (frame[at + 1] ?? 0);
  const check = ~((sum & 0xffff) + (sum >>> 16)) & 0xffff;
  frame.set([check >> 8, check & 0xff], 24);
  return frame;
}

/** `count` frames each way over eight flows, in steps that keep rings from overflowing. */
function exchange(rig: Rig, count: number, firstSequence = 0): { in: FlowLedger; out: FlowLedger } {
  const flows = Array.from({ length: 8 }, (_, flow) => flow);
  const ledgers = { in: new FlowLedger(flows), out: new FlowLedger(flows) };
  rig.received.length = 0;
  rig.port.sent.length = 0;
  const inward = flows.map((flow) => markFrame(udp(0x0b, 0x0a, flow, 60 + 180 * flow), flow));
  const outward = flows.map((flow) => markFrame(udp(0x0a, 0x0b, flow, 60 + 180 * flow), flow));
  for (let n = 0; n < count; n++) {
    const sequence = firstSequence + Math.floor(n / 8);
    expect(rig.port.deliver(inward[n % 8]?.stamp(sequence) ?? new Uint8Array(0))).toBe("accepted");
    expect(rig.driver.send(outward[n % 8]?.stamp(sequence) ?? new Uint8Array(0))).toBe(true);
    if (n % 24 === 23) rig.clock.advance(1);
  }
  rig.clock.advance(5);
  for (const frame of rig.received) ledgers.in.receive(frame);
  for (const frame of rig.port.sent) ledgers.out.receive(frame);
  return ledgers;
}

describe.each(KINDS)("a guest's driver on the model %s", (kind) => {
  const startedRig = (options: RigOptions = {}): Promise<Rig> => startedOn({ kind, ...options });

  it("comes up as Linux does, until the carrier", async () => {
    const writes: string[] = [];
    const rig = await startedRig({
      wrap: (device) =>
        Object.create(device, {
          info: { value: device.info },
          readRegion: { value: device.readRegion.bind(device) },
          setIrqs: { value: device.setIrqs.bind(device) },
          writeRegion: {
            value: (index: number, offset: number, from: Uint8Array) => {
              if (index === 0) writes.push(`${offset.toString(16)}=${[...from].join(".")}`);
              device.writeRegion(index, offset, from);
            },
          },
        }) as VfioDevice,
    });
    expect(rig.faults).toEqual([]);
    expect(rig.driver).toMatchObject({ state: "running", linkUp: true, mac: guestMac });
    // ATQH, ATQT, ATQLEN, ATQBAL, ATQBAH, then the same of the ARQ, then ARQT = 31.
    const offsets = writes.slice(0, 11).map((write) => write.split("=")[0]);
    const atq = ["6400", "8400", "6800", "7c00", "7800"];
    expect(offsets).toEqual([...atq, "7400", "7000", "8000", "6c00", "6000", "7000"]);
    expect(writes[10]).toBe("7000=31.0.0.0");
    // All Rx tails say 511 before the message that configures queues goes out.
    const tail = writes.indexOf("200c=255.1.0.0");
    const mailboxTails = writes
      .map((w, i) => (w.startsWith("8400=") ? i : -1))
      .filter((i) => i > 0);
    expect(tail).toBeGreaterThan(0);
    expect(mailboxTails.filter((at) => at > tail)).toHaveLength(2);
  });

  it("passes thousands of frames both ways over all queues, round the rings, none lost", async () => {
    const rig = await startedRig();
    const ledgers = exchange(rig, 6000);
    for (const ledger of [ledgers.in, ledgers.out]) {
      expect(ledger.delivered).toBe(6000);
      expect(ledger.faults).toBe(0);
    }
    rig.clock.advance(1);
    expect(rig.driver.counters).toMatchObject({ txCompleted: 6000, txDropped: 0, rxErrors: 0 });
    const wrapped = rig.driver.indices.filter((pair) => pair.txNextToClean === pair.txNextToUse);
    expect(wrapped).toHaveLength(4);
    expect(rig.model.truth).toMatchObject({ dmaFaults: 0, maliciousEvents: 0 });
    expect(rig.faults).toEqual([]);
  });

  it("loses no frame with interrupts that wait for their interval, and gets fewer of them", async () => {
    const fast = await startedRig();
    const rig = await startedRig({ model: { throttling: true } });
    const steps = (one: Rig): number => {
      for (let n = 0; n < 400; n++) {
        expect(one.port.deliver(udp(0x0b, 0x0a, n % 8))).toBe("accepted");
        one.clock.advance(0.01);
      }
      one.clock.advance(10);
      expect(one.received).toHaveLength(400);
      return one.driver.counters.interrupts;
    };
    expect(steps(rig)).toBeLessThan(steps(fast) / 2);
    expect(rig.faults).toEqual([]);
  });

  it("gathers frames that fill several buffers", async () => {
    const rig = await startedRig({ driver: { mtu: 9000, txSegment: 2048 } });
    const content = udp(0x0b, 0x0a, 1, 8000).map((byte, i) => (i < 60 ? byte : i & 0xff));
    expect(rig.port.deliver(content)).toBe("accepted");
    expect(rig.driver.send(udp(0x0a, 0x0b, 1, 8000))).toBe(true);
    rig.clock.advance(1);
    expect(rig.received).toEqual([content]);
    expect(rig.port.sent).toEqual([udp(0x0a, 0x0b, 1, 8000)]);
  });

  it("says when its ring is full, and sends again when there is room", async () => {
    const rig = await startedRig({ driver: { queuePairs: 1 } });
    let taken = 0;
    while (rig.driver.send(udp(0x0a, 0x0b, 1))) taken++;
    // 512 slots, one always free, five more kept by the stack's stop condition.
    expect(taken).toBe(506);
    rig.clock.advance(1);
    expect(rig.port.sent).toHaveLength(506);
    expect(rig.driver.send(udp(0x0a, 0x0b, 1))).toBe(true);
  });

  it("takes frames again after the wire has filled its ring", async () => {
    const rig = await startedRig({ driver: { queuePairs: 1 } });
    let accepted = 0;
    while (rig.port.deliver(udp(0x0b, 0x0a, 1)) === "accepted") accepted++;
    // 511 slots are posted; a port may know tails in steps of 8 only.
    expect(accepted).toBeGreaterThanOrEqual(504);
    expect(accepted).toBeLessThanOrEqual(511);
    rig.clock.advance(1);
    expect(rig.received).toHaveLength(accepted);
    expect(exchange(rig, 800).in.delivered).toBe(800);
  });

  it("hears frames to the multicast addresses that it asked for", async () => {
    const multicast = "33:33:00:00:00:16";
    const frame = udp(0x0b, 0x0a, 1);
    frame.set([0x33, 0x33, 0, 0, 0, 0x16]);
    const deaf = await startedRig();
    expect(deaf.port.deliver(frame)).toBe("filtered");
    const rig = await startedRig({ driver: { multicast: [multicast] } });
    expect(rig.port.deliver(frame)).toBe("accepted");
  });

  it("follows the link down and up", async () => {
    const rig = await startedRig();
    rig.model.control.setLink(false);
    rig.clock.advance(10);
    expect(rig.driver.linkUp).toBe(false);
    expect(rig.driver.send(udp(0x0a, 0x0b, 1))).toBe(false);
    rig.model.control.setLink(true);
    rig.clock.advance(10);
    expect(exchange(rig, 800).out.delivered).toBe(800);
  });

  it("asks for statistics every two seconds when it has nothing else to ask", async () => {
    const rig = await startedRig();
    rig.clock.advance(10_000);
    expect(rig.driver.counters.statistics).toBe(5);
    expect(rig.faults).toEqual([]);
  });

  it.each([true, false])(
    "comes back after a reset by the PF (told before: %s)",
    async (announced) => {
      const rig = await startedRig({ driver: { multicast: ["33:33:00:00:00:16"] } });
      exchange(rig, 400);
      rig.model.control.resetVf(announced);
      rig.clock.advance(10_000);
      expect(rig.driver).toMatchObject({ state: "running", linkUp: true });
      expect(rig.driver.counters.resets).toBe(1);
      expect(exchange(rig, 2000).in.delivered).toBe(2000);
      expect(rig.faults).toEqual([]);
    },
  );

  it("comes back after a reset that it asked for itself", async () => {
    const rig = await startedRig();
    const back = rig.driver.resetFunction();
    rig.clock.advance(3000);
    await back;
    expect(exchange(rig, 2000).out.delivered).toBe(2000);
  });

  it("lets the device go in order", async () => {
    const rig = await startedRig();
    const gone = rig.driver.remove();
    rig.clock.advance(3000);
    await gone;
    expect(rig.driver.state).toBe("off");
    expect(rig.port.deliver(udp(0x0b, 0x0a, 1))).toBe("queue-disabled");
    expect(rig.faults).toEqual([]);
  });

  it("works with few vectors, slow answers, and one queue", async () => {
    const rig = newRig({ kind, model: { vectors: 2, pfReplyDelayMs: 400 } });
    const started = rig.driver.start();
    rig.clock.advance(20_000);
    await started;
    expect(exchange(rig, 2000).in.delivered).toBe(2000);
  });
});

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

function devicePages(rig: Rig): number[] {
  return rig.model.truth.writtenPages().map((page) => page - Number(ramIova / 4096n));
}

/** Breaks the descriptor memory of a running rig, and gives what the guest says about it. */
async function brokenBy(
  breakIt: (rig: Rig, data: DataView, rings: { tx: number; rx: number }) => void,
): Promise<string | undefined> {
  const rig = await startedOn({ driver: { queuePairs: 1 } });
  // Mailbox: two rings of a page and their buffers; then the Tx ring and its buffers, then the Rx ring.
  const tx = 2 * (4096 + 32 * 4096);
  breakIt(rig, rig.ram.data, { tx, rx: tx + 8192 + 512 * 2048 });
  rig.clock.advance(20_000);
  expect(rig.faults.length).toBeLessThanOrEqual(1);
  if (rig.faults.length > 0) {
    expect(rig.driver.state).toBe("broken");
    expect(rig.driver.send(udp(0x0a, 0x0b, 1))).toBe(false);
  }
  return rig.faults[0]?.kind;
}

describe("what no sound device does", () => {
  it("is noticed in completions that are out of order, changed, or of a strange type", async () => {
    // Frames of 1500 bytes take two descriptors each: slots 1, 3, 5 and 7 end them.
    const afterwards = (slot: number, low: number) =>
      brokenBy((rig, data, { tx }) => {
        for (let n = 0; n < 4; n++) rig.driver.send(udp(0x0a, 0x0b, 1, 1500));
        // The device's turn; the guest's would be the next one.
        rig.clock.runSoon(1);
        data.setUint32(tx + slot * 16 + 8, low, true);
      });
    expect(await afterwards(1, 0x70)).toBe("tx-completion");
    expect(await afterwards(0, 0xf)).toBe("tx-completion");
    expect(await afterwards(1, 0x3)).toBe("tx-completion");
    expect(await afterwards(1, 0xf)).toBeUndefined();
  });

  it("is noticed in received descriptors that were never posted, or cannot be", async () => {
    const received = (slot: number, low: number, high: number) =>
      brokenBy((rig, data, { rx }) => {
        data.setUint32(rx + slot * 32 + 12, high, true);
        data.setUint32(rx + slot * 32 + 8, low, true);
        raise(rig, 1);
      });
    expect(await received(0, 3, 0)).toBe("rx-descriptor");
    expect(await received(0, 3, 2000 << 6)).toBe("rx-descriptor");
    expect(await received(0, 3, 60 << 6)).toBeUndefined();
    // All 511 slots but the last are posted at first.
    expect(await received(511, 3, 60 << 6)).toBe("rx-unposted");
    expect(await received(7, 3, 60 << 6)).toBe("rx-order");
    const silent = brokenBy((_rig, data, { rx }) => {
      data.setUint32(rx + 12, 60 << 6, true);
      data.setUint32(rx + 8, 3, true);
    });
    expect(await silent).toBe("rx-stall");
  });

  it("is noticed when sent frames are never reported", async () => {
    const hang = brokenBy((rig, data, { tx }) => {
      rig.driver.send(udp(0x0a, 0x0b, 1));
      // The device's turn; the guest's would be the next one.
      rig.clock.runSoon(1);
      data.setUint32(tx + 8, 0x70, true);
    });
    expect(await hang).toBe("tx-hang");
  });

  it("is noticed when a request stays unanswered", async () => {
    const rig = await startedOn();
    rig.model.control.setReplyDelay(60_000);
    rig.clock.advance(20_000);
    expect(rig.faults[0]?.kind).toBe("missing-reply");
    const silent = newRig({ model: { pfReplyDelayMs: 60_000 } });
    const started = silent.driver.start();
    silent.clock.advance(20_000);
    await expect(started).rejects.toMatchObject({ kind: "missing-reply" });
  });

  it("is noticed in a device of another kind, and start says so", async () => {
    const rig = newRig({
      wrap: (device) =>
        Object.create(device, {
          info: { value: device.info },
          readRegion: {
            value: (_index: number, _offset: number, into: Uint8Array) => into.fill(0xff),
          },
        }) as VfioDevice,
    });
    await expect(rig.driver.start()).rejects.toMatchObject({
      code: "ERR_VFMIG_GUEST_FAULT",
      kind: "device",
    });
    expect(rig.driver.state).toBe("broken");
  });
});

/** Raises a vector as a device would. */
function raise(rig: Rig, vector: number): void {
  const control = VF_REGISTER.VFINT_DYN_CTLN1 + 4 * (vector - 1);
  const value = new Uint8Array(4);
  new DataView(value.buffer).setUint32(0, 0x0100_001d, true);
  rig.model.device.writeRegion(0, control, value);
}
