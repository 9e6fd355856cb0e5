import {
  VF_REGISTER,
  VIRTCHNL_OP as OP,
  buildVersion,
  vectorControl,
  vectorItr,
} from "@vfmig/iavf";
import { describe, expect, test } from "vitest";
import { ethernet } from "./testing/frames.ts";
import { PEER_MAC, RIG_MAC, VF_KINDS, armMailbox, rigsOf, type Rig } from "./testing/rig.ts";

const frame = ethernet(RIG_MAC, PEER_MAC, 0x88b5, new Uint8Array(60));

describe.each(VF_KINDS)("throttling of %s", (kind) => {
  const { newRig, startedRig } = rigsOf(kind);

  /** Vector 1 with 50 us for Rx (index 0) and 100 us for Tx (index 1). */
  function throttled(): Rig {
    const rig = startedRig(1, { throttling: true });
    rig.write(vectorItr(1, 0), 25);
    rig.write(vectorItr(1, 1), 50);
    return rig;
  }

  test("lets the first interrupt out at once, and the next when the interval is over", () => {
    const rig = throttled();
    rig.port.deliver(frame);
    expect(rig.signals[1]).toBe(1);
    rig.arm(1);
    rig.port.deliver(frame);
    rig.clock.advance(0.049);
    expect(rig.signals[1]).toBe(1);
    rig.clock.advance(0.002);
    expect(rig.signals[1]).toBe(2);
  });

  test("many causes within an interval are one interrupt, and none is lost", () => {
    const rig = throttled();
    rig.port.deliver(frame);
    rig.arm(1);
    for (let count = 0; count < 10; count++) rig.port.deliver(frame);
    rig.clock.advance(1);
    expect(rig.signals[1]).toBe(2);
    rig.arm(1);
    rig.clock.advance(1);
    expect(rig.signals[1]).toBe(2);
  });

  test("a cause that waited and whose vector was disarmed meanwhile fires at the next arming", () => {
    const rig = throttled();
    rig.port.deliver(frame);
    rig.arm(1);
    rig.port.deliver(frame);
    rig.write(vectorControl(1), 0x18);
    rig.clock.advance(1);
    expect(rig.signals[1]).toBe(1);
    rig.arm(1);
    expect(rig.signals[1]).toBe(2);
  });

  test("uses the index that the queue was mapped with", () => {
    const rig = throttled();
    rig.putTx(0, 0, frame);
    rig.kickTx(0, 1);
    rig.arm(1);
    rig.putTx(0, 1, frame);
    rig.kickTx(0, 2);
    rig.clock.advance(0.099);
    expect(rig.signals[1]).toBe(1);
    rig.clock.advance(0.002);
    expect(rig.signals[1]).toBe(2);
  });

  test("the shortest interval of the waiting causes counts", () => {
    const rig = throttled();
    rig.putTx(0, 0, frame);
    rig.kickTx(0, 1);
    rig.arm(1);
    rig.putTx(0, 1, frame);
    rig.kickTx(0, 2);
    rig.port.deliver(frame);
    rig.clock.advance(0.051);
    expect(rig.signals[1]).toBe(2);
  });

  test("an interval made shorter by the re-arming counts at once", () => {
    const rig = throttled();
    rig.write(vectorItr(1, 0), 2500);
    rig.port.deliver(frame);
    rig.arm(1);
    rig.port.deliver(frame);
    rig.clock.advance(1);
    expect(rig.signals[1]).toBe(1);
    rig.write(vectorControl(1), 0x1 | (10 << 5));
    expect(rig.signals[1]).toBe(2);
  });

  test("index 3 is not throttled, nor is a software interrupt without an index", () => {
    const rig = throttled();
    const map = rig.irqMap(1);
    new DataView(map.buffer).setUint16(2 + 8, 3, true);
    rig.answer(OP.CONFIG_IRQ_MAP, map);
    for (let count = 0; count < 3; count++) {
      rig.port.deliver(frame);
      rig.arm(1);
    }
    expect(rig.signals[1]).toBe(3);
    rig.write(vectorControl(1), 0x1d);
    expect(rig.signals[1]).toBe(4);
  });

  test("the mailbox's causes use the index in STAT_CTL01", () => {
    const rig = newRig({ throttling: true });
    rig.setBusMaster(true);
    rig.mapMemory();
    rig.enableInterrupts();
    rig.openMailbox();
    rig.write(VF_REGISTER.VFINT_STAT_CTL01, 1 << 2);
    rig.write(vectorItr(0, 1), 500);
    armMailbox(rig);
    rig.ask(OP.VERSION, buildVersion());
    armMailbox(rig);
    rig.ask(OP.VERSION, buildVersion());
    rig.clock.advance(0.9);
    expect(rig.signals[0]).toBe(1);
    rig.clock.advance(0.2);
    expect(rig.signals[0]).toBe(2);
  });

  test("a reset forgets what waited, and leaves no timer", () => {
    const rig = throttled();
    rig.port.deliver(frame);
    rig.arm(1);
    rig.port.deliver(frame);
    rig.ask(OP.RESET_VF);
    rig.clock.advance(1000);
    expect(rig.signals[1]).toBe(1);
    expect(rig.clock.waiting).toBe(0);
  });

  test("closing leaves no timer", async () => {
    const rig = throttled();
    rig.port.deliver(frame);
    rig.arm(1);
    rig.port.deliver(frame);
    rig.clock.runSoon();
    expect(rig.clock.waiting).toBe(1);
    await rig.device[Symbol.asyncDispose]();
    expect(rig.clock.waiting).toBe(0);
  });
});
