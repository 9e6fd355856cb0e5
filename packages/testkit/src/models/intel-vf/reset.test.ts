import {
  AQ_LENGTH,
  ARQ_REGISTERS,
  ATQ_REGISTERS,
  RSTAT,
  VF_EVENT,
  VF_REGISTER,
  VIRTCHNL_OP as OP,
  VIRTCHNL_STATUS,
  buildRssKey,
  buildVlanList,
  parseEvent,
  vectorControl,
} from "@vfmig/iavf";
import { describe, expect, test } from "vitest";
import { ethernet, must } from "./testing/frames.ts";
import { PEER_MAC, RIG_MAC, VF_KINDS, rigsOf } from "./testing/rig.ts";

const frame = ethernet(RIG_MAC, PEER_MAC, 0x88b5, new Uint8Array(60));

describe.each(VF_KINDS)("%s", (kind) => {
  const { startedRig } = rigsOf(kind);

  describe("a reset of the VF", () => {
    test("is asked for without an answer, clears the admin queue lengths, and ends active", () => {
      const rig = startedRig(1, { resetMs: 50 });
      expect(rig.ask(OP.RESET_VF)).toBeUndefined();
      expect(rig.read(VF_REGISTER.VFGEN_RSTAT)).toBe(RSTAT.IN_PROGRESS);
      expect(rig.read(ATQ_REGISTERS.len)).toBe(0);
      expect(rig.read(ARQ_REGISTERS.len)).toBe(0);
      rig.clock.advance(49);
      expect(rig.read(VF_REGISTER.VFGEN_RSTAT)).toBe(RSTAT.IN_PROGRESS);
      rig.clock.advance(1);
      expect(rig.read(VF_REGISTER.VFGEN_RSTAT)).toBe(RSTAT.ACTIVE);
      expect(rig.messages).toEqual([]);
    });

    test("disarms vectors, stops and forgets queues, and drops frames", () => {
      const rig = startedRig();
      rig.ask(OP.RESET_VF);
      expect(rig.read(vectorControl(1))).toBe(0);
      expect(rig.port.deliver(frame)).toBe("queue-disabled");
      rig.clock.advance(20);
      rig.renegotiate();
      expect(rig.answer(OP.ENABLE_QUEUES, rig.select(1)).status).not.toBe(0);
    });

    test.runIf(kind === "i40e-vf")(
      "puts back filters and RSS, and keeps the primary address",
      () => {
        const rig = startedRig();
        rig.answer(OP.ADD_VLAN, buildVlanList({ vsiId: rig.vsiId, ids: [5] }));
        rig.answer(
          OP.CONFIG_RSS_KEY,
          buildRssKey({ vsiId: rig.vsiId, key: new Uint8Array(52).fill(1) }),
        );
        rig.ask(OP.RESET_VF);
        rig.clock.advance(20);
        expect(rig.read(VF_REGISTER.VFQF_HKEY)).toBe(0);
        rig.renegotiate();
        rig.startQueues();
        const other = new Uint8Array(64);
        other.set(frame.subarray(0, 12));
        other.set([0x81, 0, 0, 9], 12);
        expect(rig.port.deliver(other)).toBe("accepted");
        expect(rig.port.deliver(frame)).toBe("accepted");
      },
    );

    test("lets the session begin again without VERSION, and refuses messages before resources", () => {
      const rig = startedRig();
      rig.ask(OP.RESET_VF);
      rig.clock.advance(20);
      rig.openMailbox();
      const { PARAM, NOT_SUPPORTED } = VIRTCHNL_STATUS;
      const refusal = kind === "i40e-vf" ? PARAM : NOT_SUPPORTED;
      expect(rig.answer(OP.GET_STATS, rig.select(0)).status).toBe(refusal);
    });

    test("serves no admin queue before it is over", () => {
      const rig = startedRig();
      rig.ask(OP.RESET_VF);
      rig.openMailbox();
      rig.send(OP.VERSION, new Uint8Array(8));
      rig.clock.runSoon();
      expect(rig.read(ATQ_REGISTERS.head)).toBe(0);
      rig.clock.advance(20);
      expect(rig.read(ATQ_REGISTERS.head)).toBe(1);
    });

    test("drops requests that the PF had not taken", () => {
      const rig = startedRig();
      rig.model.control.setReplyDelay(100);
      rig.send(OP.GET_STATS, rig.select(0));
      rig.clock.runSoon();
      rig.model.control.resetVf(false);
      rig.clock.advance(20);
      rig.messages.length = 0;
      rig.openMailbox();
      rig.clock.advance(500);
      rig.poll();
      expect(rig.messages).toEqual([]);
    });

    test("by the host's will is announced first", () => {
      const rig = startedRig();
      rig.messages.length = 0;
      rig.model.control.resetVf(true);
      rig.poll();
      expect(parseEvent(must(rig.messages[0]).body)).toMatchObject({
        event: VF_EVENT.RESET_IMPENDING,
        severity: 255,
      });
    });

    test("leaves bus mastering and MSI-X of config space alone", () => {
      const rig = startedRig();
      rig.writeConfig(0x72, 0x8000, 2);
      rig.ask(OP.RESET_VF);
      expect(rig.readConfig(0x04, 2)).toBe(6);
      expect(rig.readConfig(0x72, 2) & 0x8000).toBe(0x8000);
    });
  });

  describe("a function level reset", () => {
    test("also clears config space, and settles before the PF is done", async () => {
      const rig = startedRig();
      rig.writeConfig(0x72, 0x8000, 2);
      await rig.device.reset();
      expect(rig.readConfig(0x04, 2)).toBe(0);
      expect(rig.readConfig(0x72, 2) & 0x8000).toBe(0);
      expect(rig.read(VF_REGISTER.VFGEN_RSTAT)).toBe(RSTAT.IN_PROGRESS);
      rig.clock.advance(20);
      expect(rig.read(VF_REGISTER.VFGEN_RSTAT)).toBe(RSTAT.ACTIVE);
    });

    test("keeps mappings and events: a driver can start over", async () => {
      const rig = startedRig();
      await rig.device.reset();
      rig.clock.advance(20);
      rig.setBusMaster(true);
      rig.renegotiate();
      rig.startQueues();
      expect(rig.port.deliver(frame)).toBe("accepted");
      expect(rig.signals[1]).toBe(1);
    });

    test("a second one while the first still runs starts its time anew", async () => {
      const rig = startedRig();
      await rig.device.reset();
      rig.clock.advance(15);
      await rig.device.reset();
      rig.clock.advance(15);
      expect(rig.read(VF_REGISTER.VFGEN_RSTAT)).toBe(RSTAT.IN_PROGRESS);
      rig.clock.advance(5);
      expect(rig.read(VF_REGISTER.VFGEN_RSTAT)).toBe(RSTAT.ACTIVE);
    });
  });

  describe("closing", () => {
    test("ends timers and the port, and refuses what comes after", async () => {
      const rig = startedRig();
      rig.model.control.setReplyDelay(100);
      rig.send(OP.GET_STATS, rig.select(0));
      rig.clock.runSoon();
      await rig.device[Symbol.asyncDispose]();
      await rig.device[Symbol.asyncDispose]();
      expect(rig.port.closed).toBe(true);
      expect(rig.clock.waiting).toBe(0);
      expect(() => rig.read(0)).toThrow(
        expect.objectContaining({ code: "ERR_VFMIG_DEVICE_CLOSED" }),
      );
      expect(rig.port.deliver(frame)).toBe("queue-disabled");
    });

    test("ENABLE stays until then", () => {
      const rig = startedRig();
      rig.clock.advance(100_000);
      expect(rig.read(ARQ_REGISTERS.len) & AQ_LENGTH.ENABLE).not.toBe(0);
    });
  });
});
