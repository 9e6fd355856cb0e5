import {
  RX_PTYPE,
  RX_STATUS,
  VIRTCHNL_OP as OP,
  buildHena,
  buildRssKey,
  buildRssLut,
  buildVlanList,
  rxLength,
  rxPacketType,
  rxTail,
} from "@vfmig/iavf";
import { describe, expect, test } from "vitest";
import { ToeplitzHash } from "../net/toeplitz.ts";
import { ethernet, flip, ipv4, must, tagged, transport, withL4Checksum } from "./testing/frames.ts";
import { IOVA, PEER_MAC, RIG_MAC, VF_KINDS, rigsOf } from "./testing/rig.ts";
import { inward, received } from "./testing/plain-frames.ts";

describe.each(VF_KINDS)("%s", (kind) => {
  const { startedRig } = rigsOf(kind);

  describe("write-back", () => {
    test("fills buffers in ring order and clears what the driver posted", () => {
      const rig = startedRig();
      for (let count = 0; count < 5; count++) {
        expect(rig.port.deliver(inward(100 + count, count))).toBe("accepted");
      }
      for (let count = 0; count < 5; count++) {
        expect(received(rig, count)).toEqual(inward(100 + count, count));
      }
      expect(rig.rxBack(0, 5).low).toBe(0);
    });

    test("tells unicast, multicast and broadcast apart", () => {
      const rig = startedRig(1, { trusted: true });
      const flags = new Uint8Array([rig.vsiId, 0, 3, 0]);
      rig.answer(OP.CONFIG_PROMISCUOUS_MODE, flags);
      for (const mac of [RIG_MAC, "01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff"]) {
        rig.port.deliver(ethernet(mac, PEER_MAC, 0x88b5, new Uint8Array(60)));
      }
      expect([0, 1, 2].map((index) => (rig.rxBack(0, index).low >>> 9) & 3)).toEqual([0, 1, 2]);
    });

    test("carries packet type, checksum results and hash of an IP packet", () => {
      const rig = startedRig(1, { queuePairs: 1 });
      const key = Uint8Array.from({ length: 52 }, (_, index) => index * 7 + 1);
      rig.answer(OP.CONFIG_RSS_KEY, buildRssKey({ vsiId: rig.vsiId, key }));
      const packet = withL4Checksum(ipv4(17, transport(17, new Uint8Array(50))), 20, 17);
      rig.port.deliver(ethernet(RIG_MAC, PEER_MAC, 0x0800, packet));
      const back = rig.rxBack(0, 0);
      expect(rxPacketType(back.low, back.high)).toBe(RX_PTYPE.IPV4_UDP);
      expect(back.low & RX_STATUS.FLTSTAT_MASK).toBe(RX_STATUS.FLTSTAT_RSS);
      expect(back.low & (RX_STATUS.L3L4P | RX_STATUS.IPE | RX_STATUS.L4E)).toBe(RX_STATUS.L3L4P);
      const input = new Uint8Array(40);
      input.set(packet.subarray(12, 24));
      expect(back.hash).toBe(new ToeplitzHash(key).hash(input, 12));
      flip(packet, 30);
      rig.port.deliver(ethernet(RIG_MAC, PEER_MAC, 0x0800, packet));
      expect(rig.rxBack(0, 1).low & RX_STATUS.L4E).toBe(RX_STATUS.L4E);
    });

    test("has no hash for a type that is not enabled", () => {
      const rig = startedRig();
      rig.answer(OP.SET_RSS_HENA, buildHena(0n));
      rig.port.deliver(
        ethernet(RIG_MAC, PEER_MAC, 0x0800, ipv4(17, transport(17, new Uint8Array(9)))),
      );
      expect(rig.rxBack(0, 0).low & RX_STATUS.FLTSTAT_MASK).toBe(0);
      expect(rig.rxBack(0, 0).hash).toBe(0);
    });

    test("writes exactly the pages of ring and buffers that it fills", () => {
      const rig = startedRig();
      rig.model.truth.clearWrittenPages();
      rig.port.deliver(inward(100));
      rig.port.deliver(inward(100));
      expect(rig.model.truth.writtenPages()).toEqual(
        [rig.rxRing(0), rig.rxBuffer(0, 0), rig.rxBuffer(0, 1)].map((at) => (IOVA + at) / 4096),
      );
    });
  });

  describe("frames of several buffers", () => {
    test("have DD in each write-back, and everything else in the last", () => {
      const rig = startedRig(1, {}, 64, 1024);
      const long = ethernet(
        RIG_MAC,
        PEER_MAC,
        0x88b5,
        Uint8Array.from({ length: 2500 }, (_, i) => i),
      );
      expect(rig.port.deliver(long)).toBe("accepted");
      const backs = [0, 1, 2].map((index) => rig.rxBack(0, index));
      expect(backs.map((back) => rxLength(back.high))).toEqual([1024, 1024, long.length - 2048]);
      expect(backs.map((back) => back.low & 3)).toEqual([1, 1, 3]);
      expect(backs.map((back) => rxPacketType(back.low, back.high))).toEqual([0, 0, RX_PTYPE.L2]);
      expect(new Uint8Array([0, 1, 2].flatMap((index) => [...received(rig, index)]))).toEqual(long);
    });

    test("wait for descriptors in the middle, while others find none", () => {
      const rig = startedRig(1, {}, 64, 1024);
      rig.write(rxTail(0), 8);
      for (let count = 0; count < 7; count++) rig.port.deliver(inward(64));
      expect(rig.port.deliver(inward(2500, 7))).toBe("accepted");
      expect(rig.rxBack(0, 7).low & 3).toBe(1);
      expect(rig.rxBack(0, 8).low).toBe(0);
      expect(rig.port.deliver(inward(64))).toBe("no-descriptor");
      rig.write(rxTail(0), 16);
      rig.clock.runSoon();
      expect(rig.rxBack(0, 9).low & 3).toBe(3);
      expect(received(rig, 9)).toEqual(inward(2500, 7).slice(2048));
      expect(rig.port.deliver(inward(64))).toBe("accepted");
    });

    test("are cut off by a stop: the rest never comes, and that is counted", () => {
      const rig = startedRig(1, {}, 64, 1024);
      rig.write(rxTail(0), 8);
      for (let count = 0; count < 7; count++) rig.port.deliver(inward(64));
      rig.port.deliver(inward(2500));
      rig.answer(OP.DISABLE_QUEUES, rig.select(1));
      rig.write(rxTail(0), 16);
      rig.clock.runSoon();
      expect(rig.rxBack(0, 8).low).toBe(0);
      expect(rig.model.truth.partialDropped).toBe(1);
    });

    test("need no more than five buffers", () => {
      const rig = startedRig(1, {}, 64, 1024);
      expect(rig.port.deliver(inward(5 * 1024))).toBe("accepted");
      expect(rig.port.deliver(inward(5 * 1024 + 1))).toBe("too-long");
    });
  });

  describe("VLAN tags", () => {
    test.runIf(kind === "i40e-vf")(
      "stay in the frame until the first filter, which turns stripping on",
      () => {
        const rig = startedRig();
        const sent = tagged(inward(64), 0x6005);
        rig.port.deliver(sent);
        expect(received(rig, 0)).toEqual(sent);
        expect(rig.rxBack(0, 0).low & RX_STATUS.L2TAG1P).toBe(0);
        rig.answer(OP.ADD_VLAN, buildVlanList({ vsiId: rig.vsiId, ids: [5] }));
        expect(rig.port.deliver(sent)).toBe("accepted");
        expect(received(rig, 1)).toEqual(inward(64));
        expect(rig.rxBack(0, 1).low & RX_STATUS.L2TAG1P).toBe(RX_STATUS.L2TAG1P);
        expect(rig.rxBack(0, 1).tag).toBe(0x6005);
        expect(rig.port.deliver(tagged(inward(64), 6))).toBe("filtered");
        expect(rig.port.deliver(inward(64))).toBe("accepted");
      },
    );

    test.runIf(kind === "i40e-vf")(
      "stripping is switched by message, and filters go with the last id",
      () => {
        const rig = startedRig();
        const list = buildVlanList({ vsiId: rig.vsiId, ids: [5] });
        rig.answer(OP.ADD_VLAN, list);
        rig.answer(OP.DISABLE_VLAN_STRIPPING);
        rig.answer(OP.DEL_VLAN, list);
        const sent = tagged(inward(64), 9);
        expect(rig.port.deliver(sent)).toBe("accepted");
        expect(received(rig, 0)).toEqual(sent);
      },
    );
  });

  describe("queue choice", () => {
    const flow = (port: number): Uint8Array => {
      const udp = transport(17, new Uint8Array(20));
      new DataView(udp.buffer).setUint16(0, port);
      return ethernet(RIG_MAC, PEER_MAC, 0x0800, ipv4(17, udp));
    };

    test("follows hash and table; other frames go to queue 0", () => {
      const rig = startedRig(4);
      const key = Uint8Array.from({ length: 52 }, (_, index) => (index * 37 + 11) & 0xff);
      rig.answer(OP.CONFIG_RSS_KEY, buildRssKey({ vsiId: rig.vsiId, key }));
      const lut = Uint8Array.from({ length: 64 }, (_, index) => (index * 3) % 4);
      rig.answer(OP.CONFIG_RSS_LUT, buildRssLut({ vsiId: rig.vsiId, lut }));
      const hash = new ToeplitzHash(key);
      const filled = [0, 0, 0, 0];
      for (let port = 1000; port < 1040; port++) {
        const bytes = flow(port);
        rig.port.deliver(bytes);
        const input = new Uint8Array(40);
        input.set(bytes.subarray(26, 38));
        const queue = must(lut[hash.hash(input, 12) & 63]);
        const index = must(filled[queue]);
        filled[queue] = index + 1;
        expect(received(rig, index, queue)).toEqual(bytes);
      }
      expect(filled.every((count) => count > 0)).toBe(true);
    });

    test("a flow whose queue is stopped drops, though others run", () => {
      const rig = startedRig(2);
      const lut = new Uint8Array(64).fill(1);
      rig.answer(OP.CONFIG_RSS_LUT, buildRssLut({ vsiId: rig.vsiId, lut }));
      rig.answer(OP.DISABLE_QUEUES, rig.select(0b10));
      expect(rig.port.deliver(flow(5))).toBe("queue-disabled");
      rig.answer(OP.SET_RSS_HENA, buildHena(0n));
      expect(rig.port.deliver(flow(5))).toBe("accepted");
    });
  });
});
