import { setImmediate } from "node:timers/promises";
import type { VfioDevice } from "@vfmig/core";
import { buildPromiscuous, VIRTCHNL_OP } from "@vfmig/iavf";
import { describe, expect, it } from "vitest";
import {
  guestMac,
  type Rig,
  KINDS,
  type RigOptions,
  newRig,
  startedOn,
  udp,
  exchange,
} from "./testing/guest-rig.ts";

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

  it("is not ready before its filters are set, though it has a carrier", async () => {
    const rig = newRig({ kind, driver: { multicast: ["01:00:5e:00:00:fb"] } });
    const frame = udp(0x0b, 0x0a, 1);
    frame.set([0x01, 0x00, 0x5e, 0x00, 0x00, 0xfb]);
    const verdicts: string[] = [];
    const ready = rig.driver.start().then(() => verdicts.push(rig.port.deliver(frame)));
    for (let ms = 0; ms < 1000 && verdicts.length === 0; ms++) {
      rig.clock.advance(1);
      // The driver's promise settles in between.
      await setImmediate();
    }
    await ready;
    expect(verdicts).toEqual(["accepted"]);
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

  it("leaves nobody waiting for an answer that a reset of its PF's has ended", async () => {
    const rig = await startedRig();
    rig.model.control.setReplyDelay(100);
    const body = (vsiId: number): Uint8Array => buildPromiscuous({ vsiId, flags: 0 });
    const asked = rig.driver.ask(VIRTCHNL_OP.CONFIG_PROMISCUOUS_MODE, body);
    const requested = rig.driver.request(VIRTCHNL_OP.CONFIG_PROMISCUOUS_MODE, body);
    const reset = rig.driver.resetFunction();
    const ended = Promise.allSettled([asked, requested, reset]);
    rig.clock.advance(50);
    rig.model.control.resetVf(true);
    rig.clock.advance(20_000);
    const why = { message: expect.stringContaining("the VF was reset before") as string };
    expect(await ended).toMatchObject([
      { status: "rejected", reason: why },
      { status: "rejected", reason: why },
      // The reset that it got is as good as the one that it was to ask for.
      { status: "fulfilled" },
    ]);
    expect(rig.driver).toMatchObject({ state: "running", linkUp: true, counters: { resets: 1 } });
    expect(rig.faults).toEqual([]);
  });

  it("lets the device go in order", async () => {
    const rig = await startedRig();
    const gone = rig.driver.remove();
    rig.clock.advance(3000);
    await gone;
    expect(rig.driver.state).toBe("off");
    expect(rig.port.deliver(udp(0x0b, 0x0a, 1))).toBe("queue-disabled");
    await expect(rig.driver.start()).rejects.toThrow("start of a driver that is or was off");
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
