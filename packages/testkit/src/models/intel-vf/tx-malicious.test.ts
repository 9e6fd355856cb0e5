import { TX_COMMAND, VIRTCHNL_OP as OP } from "@vfmig/iavf";
import { describe, expect, test } from "vitest";
import { ethernet } from "./testing/frames.ts";
import { PEER_MAC, type Rig, VF_KINDS, rigsOf } from "./testing/rig.ts";
import { outward } from "./testing/plain-frames.ts";

const { EOP, RS } = TX_COMMAND;

describe.each(VF_KINDS)("%s", (kind) => {
  const { startedRig } = rigsOf(kind);

  describe("what the hardware calls malicious", () => {
    const cases: readonly (readonly [string, (rig: Rig) => number])[] = [
      ["a buffer of no bytes", (rig) => (rig.putTx(0, 0, new Uint8Array(0)), 1)],
      ["a packet of 16 bytes", (rig) => (rig.putTx(0, 0, outward(16)), 1)],
      [
        "nine data descriptors",
        (rig) => {
          for (let at = 0; at < 9; at++) rig.putTx(0, at, outward(64), at === 8 ? EOP | RS : 0);
          return 9;
        },
      ],
      ["a packet longer than the port's frames", (rig) => (rig.putTx(0, 0, outward(9_725)), 1)],
      [
        "a flow director descriptor",
        (rig) => {
          const place = rig.putTx(0, 0, outward(64));
          rig.data.setUint32(place + 8, 0x8 | EOP | RS, true);
          return 1;
        },
      ],
      [
        "a descriptor that is done already",
        (rig) => {
          const place = rig.putTx(0, 0, outward(64));
          rig.data.setUint32(place + 8, 0xf, true);
          return 1;
        },
      ],
      [
        "a context descriptor inside a packet",
        (rig) => {
          rig.putTx(0, 0, outward(64), 0);
          rig.putContext(0, 1, {});
          return 2;
        },
      ],
      [
        "a DUMMY inside a packet",
        (rig) => {
          rig.putTx(0, 0, outward(64), 0);
          rig.putTx(0, 1, outward(64), EOP | RS | TX_COMMAND.DUMMY);
          return 2;
        },
      ],
      ["a tail beyond the ring", () => 64],
    ];

    test.each(cases)("%s stops the queue and is counted; other queues go on", (_what, arrange) => {
      const rig = startedRig(2);
      rig.kickTx(0, arrange(rig));
      expect([rig.port.sent.length, rig.model.truth.maliciousEvents]).toEqual([0, 1]);
      rig.putTx(0, 0, outward(64));
      rig.kickTx(0, 1);
      expect(rig.port.sent).toHaveLength(0);
      rig.putTx(1, 0, outward(64));
      rig.kickTx(1, 1);
      expect(rig.port.sent).toHaveLength(1);
      expect(rig.model.truth.maliciousEvents).toBe(1);
    });

    test("setting the queue up again ends it", () => {
      const rig = startedRig();
      rig.putTx(0, 0, new Uint8Array(0));
      rig.kickTx(0, 1);
      rig.answer(OP.DISABLE_QUEUES, rig.select(1));
      rig.answer(OP.CONFIG_VSI_QUEUES, rig.queueConfig(1));
      rig.answer(OP.ENABLE_QUEUES, rig.select(1));
      rig.putTx(0, 0, outward(64));
      rig.kickTx(0, 1);
      expect(rig.port.sent).toHaveLength(1);
    });

    test("another source address is dropped and counted, and the queue goes on", () => {
      const rig = startedRig();
      rig.putTx(0, 0, ethernet(PEER_MAC, "02:00:00:00:00:99", 0x88b5, new Uint8Array(60)));
      rig.putTx(0, 1, outward(64));
      rig.kickTx(0, 2);
      expect(rig.port.sent).toEqual([outward(64)]);
      expect(rig.model.truth.spoofed).toBe(1);
      const free = startedRig(1, { spoofCheck: false });
      free.putTx(0, 0, ethernet(PEER_MAC, "02:00:00:00:00:99", 0x88b5, new Uint8Array(60)));
      free.kickTx(0, 1);
      expect(free.port.sent).toHaveLength(1);
    });
  });
});
