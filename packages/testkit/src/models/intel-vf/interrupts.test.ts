import { PCI_IRQ, PCI_REGION } from "@vfmig/core";
import { ICR0, VF_REGISTER, VIRTCHNL_OP as OP, buildVersion, vectorControl } from "@vfmig/iavf";
import { describe, expect, test } from "vitest";
import { ethernet } from "./testing/frames.ts";
import { PEER_MAC, RIG_MAC, armMailbox, type Rig, VF_KINDS, rigsOf } from "./testing/rig.ts";

const frame = ethernet(RIG_MAC, PEER_MAC, 0x88b5, new Uint8Array(60));

describe.each(VF_KINDS)("%s", (kind) => {
  const { newRig, startedRig } = rigsOf(kind);

  function opened(): Rig {
    const rig = newRig();
    rig.setBusMaster(true);
    rig.mapMemory();
    rig.enableInterrupts();
    rig.openMailbox();
    return rig;
  }

  describe("the mailbox vector", () => {
    test("fires once for a message when armed and its cause enabled, and masks itself", () => {
      const rig = opened();
      armMailbox(rig);
      rig.send(OP.VERSION, buildVersion());
      rig.clock.runSoon();
      expect(rig.signals[0]).toBe(1);
      expect(rig.read(vectorControl(0)) & 1).toBe(0);
      rig.send(OP.VERSION, buildVersion());
      rig.clock.runSoon();
      expect(rig.signals[0]).toBe(1);
    });

    test("fires on re-arming for a message that came while it was masked", () => {
      const rig = opened();
      armMailbox(rig);
      rig.ask(OP.VERSION, buildVersion());
      // The handler read its causes, then one more message came, then it re-armed.
      expect(rig.read(VF_REGISTER.VFINT_ICR01)).toBe((ICR0.ADMINQ | ICR0.INTEVENT) >>> 0);
      expect(rig.read(VF_REGISTER.VFINT_ICR01)).toBe(0);
      rig.read(VF_REGISTER.VFINT_ICR0_ENA1);
      rig.ask(OP.VERSION, buildVersion());
      expect(rig.signals[0]).toBe(1);
      armMailbox(rig);
      expect(rig.signals[0]).toBe(2);
    });

    test("stays silent on re-arming where the handler has read all causes", () => {
      const rig = opened();
      armMailbox(rig);
      rig.ask(OP.VERSION, buildVersion());
      rig.read(VF_REGISTER.VFINT_ICR01);
      armMailbox(rig);
      expect(rig.signals[0]).toBe(1);
    });

    test("a cause that was read before the re-arming does not fire after it", () => {
      const rig = opened();
      armMailbox(rig);
      rig.ask(OP.VERSION, buildVersion());
      rig.ask(OP.VERSION, buildVersion());
      rig.read(VF_REGISTER.VFINT_ICR01);
      armMailbox(rig);
      expect(rig.signals[0]).toBe(1);
    });

    test("keeps a cause in ICR01 that ICR0_ENA1 does not let in, and fires when it is let in", () => {
      const rig = opened();
      rig.arm(0);
      rig.ask(OP.VERSION, buildVersion());
      expect(rig.signals[0]).toBeUndefined();
      rig.write(VF_REGISTER.VFINT_ICR0_ENA1, 0x4000_0000);
      expect(rig.signals[0]).toBe(1);
    });

    test("ICR0_ENA1 is cleared by its own read", () => {
      const rig = opened();
      rig.write(VF_REGISTER.VFINT_ICR0_ENA1, 0xffff_ffff);
      expect(rig.read(VF_REGISTER.VFINT_ICR0_ENA1)).toBe(0x4200_0000);
      expect(rig.read(VF_REGISTER.VFINT_ICR0_ENA1)).toBe(0);
    });

    test("a software interrupt of vector 0 shows in ICR01", () => {
      const rig = opened();
      rig.write(vectorControl(0), 0x5);
      expect(rig.signals[0]).toBe(1);
      expect(rig.read(VF_REGISTER.VFINT_ICR01)).toBe((ICR0.SWINT | ICR0.INTEVENT) >>> 0);
    });
  });

  describe("a queue's vector", () => {
    test("masks itself and keeps what comes meanwhile for the next arming", () => {
      const rig = startedRig();
      for (let index = 0; index < 3; index++) rig.port.deliver(frame);
      expect(rig.signals[1]).toBe(1);
      rig.arm(1);
      expect(rig.signals[1]).toBe(2);
      rig.arm(1);
      expect(rig.signals[1]).toBe(2);
    });

    test("the forced write-back of a hung queue raises it", () => {
      const rig = startedRig();
      rig.write(vectorControl(1), 0x0100_001d);
      expect(rig.signals[1]).toBe(1);
    });

    test("a software trigger on a vector that is not armed waits for the arming", () => {
      const rig = startedRig();
      rig.write(vectorControl(1), 0x4);
      expect(rig.signals[1]).toBeUndefined();
      rig.arm(1);
      expect(rig.signals[1]).toBe(1);
    });

    test("INTENA_MSK leaves INTENA as it is, and triggers do not read back", () => {
      const rig = startedRig();
      expect(rig.read(vectorControl(1))).toBe(0x19);
      rig.write(vectorControl(1), 0x8000_0018);
      expect(rig.read(vectorControl(1))).toBe(0x19);
      rig.write(vectorControl(1), 0x4000_0018);
      // Bit 30, WB_ON_ITR, is there on E810 only.
      expect(rig.read(vectorControl(1))).toBe(kind === "e810-vf" ? 0x4000_0018 : 0x18);
    });

    test("an interval written with its index lands in that ITR", () => {
      const rig = startedRig();
      rig.write(vectorControl(2), 0x1 | (1 << 3) | (25 << 5));
      expect(rig.read(0x2800 + 64 + 4)).toBe(25);
    });

    test.runIf(kind === "i40e-vf")(
      "a frame for a queue on vector 0 raises vector 0 with the queue's bit",
      () => {
        const rig = newRig();
        rig.negotiate();
        const body = rig.irqMap(1);
        new DataView(body.buffer).setUint16(4, 0, true);
        rig.startQueues();
        rig.answer(OP.CONFIG_IRQ_MAP, body);
        rig.read(VF_REGISTER.VFINT_ICR01);
        rig.arm(0);
        rig.port.deliver(frame);
        expect(rig.signals[0]).toBe(1);
        expect(rig.read(VF_REGISTER.VFINT_ICR01)).toBe(ICR0.QUEUE_0 | ICR0.INTEVENT);
      },
    );
  });

  describe("delivery", () => {
    test("a vector without event stays pending in BAR3, and is delivered once it gets one", () => {
      const rig = startedRig();
      rig.device.setIrqs({
        index: PCI_IRQ.MSIX,
        start: 1,
        count: 1,
        action: "trigger",
        data: { kind: "event", events: [undefined] },
      });
      rig.port.deliver(frame);
      const pending = new Uint8Array(8);
      rig.device.readRegion(PCI_REGION.BAR3, 0x2000, pending);
      expect(pending[0]).toBe(0b10);
      rig.enableInterrupts();
      expect(rig.signals[1]).toBe(1);
      rig.device.readRegion(PCI_REGION.BAR3, 0x2000, pending);
      expect(pending[0]).toBe(0);
    });

    test("disabling the index forgets what is pending", () => {
      const rig = startedRig();
      const disable = { index: PCI_IRQ.MSIX, start: 0, count: 0, action: "trigger" } as const;
      rig.device.setIrqs({ ...disable, data: { kind: "none" } });
      rig.port.deliver(frame);
      rig.device.setIrqs({ ...disable, data: { kind: "none" } });
      rig.enableInterrupts();
      expect(rig.signals[1]).toBeUndefined();
    });

    test("a request that VFIO would refuse is refused", () => {
      const rig = newRig({ vectors: 5 });
      expect(() => rig.enableInterrupts(6)).toThrow(
        expect.objectContaining({ code: "ERR_VFMIG_IRQ_REQUEST" }),
      );
    });
  });
});
