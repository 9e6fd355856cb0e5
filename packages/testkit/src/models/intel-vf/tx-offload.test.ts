import { TX_COMMAND, TX_CONTEXT_COMMAND } from "@vfmig/iavf";
import { describe, expect, test } from "vitest";
import { internetChecksum, pseudoSumIpv4, pseudoSumIpv6 } from "../net/checksum.ts";
import { IP_PROTOCOL } from "../net/classify.ts";
import { ethernet, flip, ipv4, ipv6, must, transport, withL4Checksum } from "./testing/frames.ts";
import { PEER_MAC, RIG_MAC, type Rig, VF_KINDS, rigsOf } from "./testing/rig.ts";

const { EOP, RS } = TX_COMMAND;

const payload = Uint8Array.from({ length: 1000 }, (_, index) => index & 0xff);

/** A packet as a driver leaves it to the hardware: L4 field holds the pseudo header's sum. */
function unfinished(version: 4 | 6, protocol: number, body: Uint8Array, tso = false): Uint8Array {
  const l4 = transport(protocol, body);
  const packet = version === 4 ? ipv4(protocol, l4) : ipv6(protocol, l4);
  const header = version === 4 ? 20 : 40;
  if (version === 4) packet.set([0, 0], 10);
  if (protocol !== IP_PROTOCOL.SCTP) {
    const size = tso ? 0 : l4.length;
    const sum =
      version === 4
        ? pseudoSumIpv4(packet, 0, protocol, size)
        : pseudoSumIpv6(packet, 0, protocol, size);
    const at = header + (protocol === IP_PROTOCOL.TCP ? 16 : 6);
    // The field is the sum itself, not its complement.
    const field = ~internetChecksum(new Uint8Array(0), 0, 0, sum) & 0xffff;
    packet[at] = field >> 8;
    packet[at + 1] = field & 0xff;
  }
  return packet;
}

const L4_COMMAND: Readonly<Record<number, readonly [number, number]>> = {
  [IP_PROTOCOL.TCP]: [TX_COMMAND.L4T_TCP, 20],
  [IP_PROTOCOL.UDP]: [TX_COMMAND.L4T_UDP, 8],
  [IP_PROTOCOL.SCTP]: [TX_COMMAND.L4T_SCTP, 12],
};

describe.each(VF_KINDS)("%s", (kind) => {
  const { startedRig } = rigsOf(kind);

  describe("checksum offload", () => {
    test.each([
      [4, IP_PROTOCOL.TCP],
      [4, IP_PROTOCOL.UDP],
      [4, IP_PROTOCOL.SCTP],
      [6, IP_PROTOCOL.TCP],
      [6, IP_PROTOCOL.UDP],
      [6, IP_PROTOCOL.SCTP],
    ] as const)("IPv%i, protocol %i: the frame has right checksums", (version, protocol) => {
      const rig = startedRig();
      const type = version === 4 ? 0x0800 : 0x86dd;
      const header = version === 4 ? 20 : 40;
      const [command, size] = must(L4_COMMAND[protocol]);
      const ip = version === 4 ? TX_COMMAND.IIPT_IPV4_CSUM : TX_COMMAND.IIPT_IPV6;
      const packet = unfinished(version, protocol, payload);
      const place = rig.putTx(
        0,
        0,
        ethernet(PEER_MAC, RIG_MAC, type, packet),
        EOP | RS | ip | command,
      );
      rig.setOffsets(place, 14, header, size);
      rig.kickTx(0, 1);
      const l4 = transport(protocol, payload);
      const whole = version === 4 ? ipv4(protocol, l4) : ipv6(protocol, l4);
      expect(rig.port.sent).toEqual([
        ethernet(PEER_MAC, RIG_MAC, type, withL4Checksum(whole, header, protocol)),
      ]);
    });

    test("a packet that asks for nothing keeps even wrong checksums", () => {
      const rig = startedRig();
      const wrong = ethernet(PEER_MAC, RIG_MAC, 0x0800, ipv4(17, transport(17, payload)));
      flip(wrong, 24, 0xff);
      rig.putTx(0, 0, wrong);
      rig.kickTx(0, 1);
      expect(rig.port.sent).toEqual([wrong]);
    });

    test("header lengths that leave the packet are malicious", () => {
      const rig = startedRig();
      const place = rig.putTx(
        0,
        0,
        ethernet(PEER_MAC, RIG_MAC, 0x88b5, new Uint8Array(50)),
        EOP | RS | TX_COMMAND.IIPT_IPV4_CSUM | TX_COMMAND.L4T_TCP,
      );
      rig.setOffsets(place, 14, 60, 20);
      rig.kickTx(0, 1);
      expect(rig.port.sent).toEqual([]);
      expect(rig.model.truth.maliciousEvents).toBe(1);
    });
  });

  describe("TCP segmentation offload", () => {
    function segmented(version: 4 | 6, mss: number, flags: number): { rig: Rig; header: number } {
      const rig = startedRig();
      const type = version === 4 ? 0x0800 : 0x86dd;
      const ipHeader = version === 4 ? 20 : 40;
      const packet = unfinished(version, IP_PROTOCOL.TCP, payload, true);
      packet[ipHeader + 13] = flags;
      rig.putContext(0, 0, { command: TX_CONTEXT_COMMAND.TSO, length: payload.length, mss });
      const ip = version === 4 ? TX_COMMAND.IIPT_IPV4_CSUM : TX_COMMAND.IIPT_IPV6;
      const place = rig.putTx(
        0,
        1,
        ethernet(PEER_MAC, RIG_MAC, type, packet),
        EOP | RS | ip | TX_COMMAND.L4T_TCP,
      );
      rig.setOffsets(place, 14, ipHeader, 20);
      rig.kickTx(0, 2);
      return { rig, header: 14 + ipHeader };
    }

    test.each([4, 6] as const)("IPv%i: cuts, numbers and checksums every segment", (version) => {
      const { rig, header } = segmented(version, 400, 0x99);
      expect(rig.port.sent.map((sent) => sent.length - header - 20)).toEqual([400, 400, 200]);
      const joined: number[] = [];
      for (const [index, sent] of rig.port.sent.entries()) {
        const view = new DataView(sent.buffer);
        expect(view.getUint32(header + 4)).toBe(0x1122_3344 + index * 400);
        // FIN and PSH come last, CWR first, ACK in all.
        expect(sent[header + 13]).toBe([0x90, 0x10, 0x19][index]);
        const packet = sent.slice(14);
        expect(withL4Checksum(packet, header - 14, IP_PROTOCOL.TCP)).toEqual(packet);
        if (version === 4) {
          expect(internetChecksum(packet, 0, 20)).toBe(0);
          expect(view.getUint16(16)).toBe(packet.length);
          expect(view.getUint16(18)).toBe(0x1234 + index);
        } else {
          expect(view.getUint16(18)).toBe(packet.length - 40);
        }
        joined.push(...sent.slice(header + 20));
      }
      expect(joined).toEqual([...payload]);
    });

    test("a tag goes into every segment", () => {
      const rig = startedRig();
      rig.putContext(0, 0, { command: TX_CONTEXT_COMMAND.TSO, length: payload.length, mss: 600 });
      const place = rig.putTx(
        0,
        1,
        ethernet(PEER_MAC, RIG_MAC, 0x0800, unfinished(4, IP_PROTOCOL.TCP, payload, true)),
        EOP | RS | TX_COMMAND.IIPT_IPV4_CSUM | TX_COMMAND.L4T_TCP | TX_COMMAND.IL2TAG1,
        9,
      );
      rig.setOffsets(place, 14, 20, 20);
      rig.kickTx(0, 2);
      expect(rig.port.sent.map((sent) => [...sent.subarray(12, 16)])).toEqual([
        [0x81, 0, 0, 9],
        [0x81, 0, 0, 9],
      ]);
    });

    test("over a UDP tunnel the outer lengths, ids and checksums follow", () => {
      const rig = startedRig();
      const inner = ethernet(
        PEER_MAC,
        RIG_MAC,
        0x0800,
        unfinished(4, IP_PROTOCOL.TCP, payload, true),
      );
      const vxlan = new Uint8Array(8 + inner.length);
      vxlan.set(inner, 8);
      const outer = ethernet(PEER_MAC, RIG_MAC, 0x0800, ipv4(17, transport(17, vxlan)));
      // EIPT IPv4 with checksum, 20 bytes; UDP tunnel; 8 + 8 + 14 bytes up to the inner IP header.
      const tunnel = 3 | (5 << 2) | (1 << 9) | (15 << 12);
      rig.putContext(0, 0, {
        command: TX_CONTEXT_COMMAND.TSO,
        tunnel,
        length: payload.length,
        mss: 500,
      });
      const place = rig.putTx(
        0,
        1,
        outer,
        EOP | RS | TX_COMMAND.IIPT_IPV4_CSUM | TX_COMMAND.L4T_TCP,
      );
      rig.setOffsets(place, 14, 20, 20);
      rig.kickTx(0, 2);
      expect(rig.port.sent).toHaveLength(2);
      for (const [index, sent] of rig.port.sent.entries()) {
        const view = new DataView(sent.buffer);
        expect(view.getUint16(16)).toBe(sent.length - 14);
        expect(view.getUint16(18)).toBe(0x1234 + index);
        expect(internetChecksum(sent, 14, 34)).toBe(0);
        expect(view.getUint16(38)).toBe(sent.length - 34);
        const packet = sent.slice(14 + 20 + 8 + 8 + 14);
        expect(internetChecksum(packet, 0, 20)).toBe(0);
        expect(withL4Checksum(packet, 20, IP_PROTOCOL.TCP)).toEqual(packet);
      }
    });

    test.each([
      ["a length that is not the payload's", { length: 999, mss: 400 }],
      ["a segment size below 64", { length: 1000, mss: 63 }],
      ["a segment size above the port's", { length: 1000, mss: 9_700 }],
    ])("with %s is malicious", (_what, fields) => {
      const rig = startedRig();
      rig.putContext(0, 0, { command: TX_CONTEXT_COMMAND.TSO, ...fields });
      const place = rig.putTx(
        0,
        1,
        ethernet(PEER_MAC, RIG_MAC, 0x0800, unfinished(4, IP_PROTOCOL.TCP, payload, true)),
        EOP | RS | TX_COMMAND.IIPT_IPV4_CSUM | TX_COMMAND.L4T_TCP,
      );
      rig.setOffsets(place, 14, 20, 20);
      rig.kickTx(0, 2);
      expect([rig.port.sent.length, rig.model.truth.maliciousEvents]).toEqual([0, 1]);
    });

    test("a segment may touch eight descriptors and not nine, however many the packet has", () => {
      const parts = (each: number): number => {
        const rig = startedRig();
        const packet = ethernet(PEER_MAC, RIG_MAC, 0x0800, unfinished(4, 6, payload, true));
        rig.putContext(0, 0, { command: TX_CONTEXT_COMMAND.TSO, length: 1000, mss: 500 });
        const command = TX_COMMAND.IIPT_IPV4_CSUM | TX_COMMAND.L4T_TCP;
        rig.setOffsets(rig.putTx(0, 1, packet.slice(0, 54), command), 14, 20, 20);
        let at = 54;
        let index = 2;
        for (; at < packet.length; at += each, index++) {
          const last = at + each >= packet.length;
          rig.putTx(0, index, packet.slice(at, at + each), command | (last ? EOP | RS : 0));
        }
        rig.kickTx(0, index);
        return rig.model.truth.maliciousEvents;
      };
      expect(parts(84)).toBe(0);
      expect(parts(72)).toBe(1);
    });
  });
});
