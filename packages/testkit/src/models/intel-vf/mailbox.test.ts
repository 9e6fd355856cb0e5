import {
  AQ_CODE,
  AQ_FIELD,
  AQ_FLAG,
  AQ_LENGTH,
  AQ_OPCODE,
  ARQ_REGISTERS,
  ATQ_REGISTERS,
  VIRTCHNL_OP as OP,
  VIRTCHNL_STATUS,
  buildVersion,
} from "@vfmig/iavf";
import { describe, expect, test } from "vitest";
import { IOVA, type Rig, type RigOptions, VF_KINDS, rigsOf } from "./testing/rig.ts";

describe.each(VF_KINDS)("%s", (kind) => {
  const { newRig } = rigsOf(kind);

  function opened(options: RigOptions = {}): Rig {
    const rig = newRig(options);
    rig.setBusMaster(true);
    rig.mapMemory();
    rig.openMailbox();
    return rig;
  }

  describe("the send queue", () => {
    test("completes a request in its descriptor and moves the head past it", () => {
      const rig = opened();
      const index = rig.send(OP.VERSION, buildVersion());
      expect(rig.read(ATQ_REGISTERS.head)).toBe(0);
      rig.clock.runSoon();
      expect(rig.read(ATQ_REGISTERS.head)).toBe(1);
      const done = rig.request(index);
      expect(done.flags & (AQ_FLAG.DD | AQ_FLAG.CMP | AQ_FLAG.ERR)).toBe(AQ_FLAG.DD | AQ_FLAG.CMP);
      expect(done.returnValue).toBe(AQ_CODE.OK);
    });

    test("answers in the receive queue with the request's opcode, status and body", () => {
      const rig = opened();
      expect(rig.answer(OP.VERSION, buildVersion())).toEqual({
        opcode: OP.VERSION,
        status: 0,
        body: buildVersion(),
      });
    });

    test("takes the shutdown command, and refuses commands that no firmware knows", () => {
      const rig = opened();
      const shutdown = rig.send(0, undefined, AQ_OPCODE.QUEUE_SHUTDOWN);
      const unknown = rig.send(0, undefined, 0x0999);
      const rss = rig.send(0, undefined, AQ_OPCODE.SET_RSS_KEY);
      rig.clock.runSoon();
      expect(rig.request(shutdown)).toMatchObject({ returnValue: AQ_CODE.OK });
      for (const index of [unknown, rss]) {
        expect(rig.request(index).flags & AQ_FLAG.ERR).toBe(AQ_FLAG.ERR);
        expect(rig.request(index).returnValue).toBe(AQ_CODE.ESRCH);
      }
    });

    test("refuses a body whose flags do not announce it", () => {
      for (const flags of [AQ_FLAG.SI, AQ_FLAG.SI | AQ_FLAG.BUF, AQ_FLAG.SI | AQ_FLAG.RD]) {
        const rig = opened();
        const index = rig.send(OP.VERSION, buildVersion());
        rig.data.setUint16(index * 32 + AQ_FIELD.FLAGS, flags, true);
        rig.clock.runSoon();
        expect(rig.request(index).returnValue).toBe(AQ_CODE.EINVAL);
      }
    });

    test("wants the large-buffer flag above 512 bytes", () => {
      const rig = opened();
      const index = rig.send(OP.CONFIG_VSI_QUEUES, new Uint8Array(600));
      const flags = rig.request(index).flags;
      rig.data.setUint16(index * 32 + AQ_FIELD.FLAGS, flags & ~AQ_FLAG.LB, true);
      rig.clock.runSoon();
      expect(rig.request(index).returnValue).toBe(AQ_CODE.EINVAL);
    });

    test("fetches nothing without bus mastering, and goes on with it", () => {
      const rig = opened();
      rig.setBusMaster(false);
      rig.send(OP.VERSION, buildVersion());
      rig.clock.runSoon();
      expect(rig.read(ATQ_REGISTERS.head)).toBe(0);
      rig.setBusMaster(true);
      rig.clock.runSoon();
      expect(rig.read(ATQ_REGISTERS.head)).toBe(1);
    });

    test("stops with a critical error at a ring outside mapped memory", () => {
      const rig = opened();
      rig.write(ATQ_REGISTERS.bah, 0x77);
      rig.send(OP.VERSION, buildVersion());
      rig.clock.runSoon();
      expect(rig.read(ATQ_REGISTERS.head)).toBe(0);
      expect(rig.read(ATQ_REGISTERS.len) & AQ_LENGTH.CRIT).not.toBe(0);
      expect(rig.model.truth.dmaFaults).toBe(1);
    });

    test("stops at a body outside mapped memory, and at a tail beyond the ring", () => {
      const first = opened();
      const index = first.send(OP.VERSION, buildVersion());
      first.data.setUint32(index * 32 + AQ_FIELD.ADDRESS_HIGH, 0xffff_ffff, true);
      first.clock.runSoon();
      expect(first.read(ATQ_REGISTERS.len) & AQ_LENGTH.CRIT).not.toBe(0);
      const second = opened();
      second.write(ATQ_REGISTERS.tail, 33);
      second.clock.runSoon();
      expect(second.read(ATQ_REGISTERS.len) & AQ_LENGTH.CRIT).not.toBe(0);
      expect(second.read(ATQ_REGISTERS.head)).toBe(0);
    });

    test("goes on when the driver clears the error", () => {
      const rig = opened();
      rig.write(ATQ_REGISTERS.bah, 0x77);
      rig.send(OP.VERSION, buildVersion());
      rig.clock.runSoon();
      rig.write(ATQ_REGISTERS.bah, Math.floor(IOVA / 0x1_0000_0000));
      rig.write(ATQ_REGISTERS.len, (32 | AQ_LENGTH.ENABLE) >>> 0);
      rig.clock.runSoon();
      expect(rig.read(ATQ_REGISTERS.head)).toBe(1);
    });
  });

  describe("the receive queue", () => {
    test("keeps a message while no descriptor is free, tells the overflow, and delivers later", () => {
      const rig = opened();
      rig.write(ARQ_REGISTERS.tail, 0);
      rig.send(OP.VERSION, buildVersion());
      rig.clock.runSoon();
      expect(rig.read(ARQ_REGISTERS.head)).toBe(0);
      expect(rig.read(ARQ_REGISTERS.len) & AQ_LENGTH.OVFL).not.toBe(0);
      rig.write(ARQ_REGISTERS.tail, 31);
      rig.clock.runSoon();
      rig.poll();
      expect(rig.messages.map((message) => message.opcode)).toEqual([OP.VERSION]);
    });

    test("loses a message to a queue that is off", () => {
      const rig = opened();
      rig.write(ARQ_REGISTERS.len, 0);
      rig.send(OP.VERSION, buildVersion());
      rig.clock.runSoon();
      rig.write(ARQ_REGISTERS.len, (32 | AQ_LENGTH.ENABLE) >>> 0);
      rig.clock.runSoon();
      expect(rig.read(ARQ_REGISTERS.head)).toBe(0);
    });

    test("fills many messages in order around the ring's end", () => {
      const rig = opened();
      for (let count = 0; count < 100; count++) {
        expect(rig.answer(OP.VERSION, buildVersion()).status).toBe(0);
      }
    });

    test("a guest that asks and never reads cannot make the device hold more than it should", () => {
      const rig = opened();
      rig.write(ARQ_REGISTERS.tail, 0);
      for (let count = 0; count < 2000; count++) {
        rig.send(OP.VERSION, buildVersion());
        rig.clock.runSoon();
      }
      rig.write(ARQ_REGISTERS.tail, 31);
      rig.clock.runSoon();
      for (let round = 0; round < 20; round++) {
        rig.poll();
        rig.clock.runSoon();
      }
      expect(rig.messages).toHaveLength(128);
    });
  });

  describe("the PF's time", () => {
    test("answers and acts only after its delay, in the order of the requests", () => {
      const rig = opened({ pfReplyDelayMs: 30 });
      rig.send(OP.VERSION, buildVersion());
      rig.send(99);
      rig.clock.advance(29);
      rig.poll();
      expect(rig.read(ATQ_REGISTERS.head)).toBe(2);
      expect(rig.messages).toEqual([]);
      rig.clock.advance(1);
      rig.poll();
      expect(rig.messages.map((message) => [message.opcode, message.status])).toEqual([
        [OP.VERSION, 0],
        [99, VIRTCHNL_STATUS.NOT_SUPPORTED],
      ]);
    });

    test("leaves requests in the ring that it has no room for", () => {
      const rig = opened({ pfReplyDelayMs: 1000 });
      for (let count = 0; count < 31; count++) rig.send(OP.VERSION, buildVersion());
      rig.clock.runSoon();
      rig.send(OP.VERSION, buildVersion());
      rig.send(OP.VERSION, buildVersion());
      rig.clock.runSoon();
      expect(rig.read(ATQ_REGISTERS.head)).toBe(0);
      expect(rig.read(ATQ_REGISTERS.tail)).toBe(1);
      rig.clock.advance(1000);
      expect(rig.read(ATQ_REGISTERS.head)).toBe(1);
    });
  });
});
