import { RX_PTYPE, RX_STATUS } from "@vfmig/iavf";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  ethernet,
  flip,
  ipv4,
  ipv6,
  tagged,
  transport,
  withL4Checksum,
} from "../intel-vf/testing/frames.ts";
import { foldSum, internetChecksum, sumWords } from "./checksum.ts";
import {
  HASH_TYPE,
  IP_PROTOCOL,
  classifyFrame,
  createFrameClass,
  type FrameClass,
} from "./classify.ts";
import { sctpChecksum } from "./crc32c.ts";
import { hashInput } from "./hash-input.ts";
import { checksumStatus } from "./receive-checks.ts";
import { MAX_HASH_INPUT, ToeplitzHash } from "./toeplitz.ts";

const A = "02:00:00:00:00:0a";
const B = "02:00:00:00:00:0b";

function classify(frame: Uint8Array): FrameClass {
  const found = createFrameClass();
  classifyFrame(frame, frame.length, found);
  return found;
}

/** The published verification key of receive side scaling. */
const KEY = Uint8Array.from(
  (
    "6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa" +
    "000000000000000000000000"
  ).match(/../gu) ?? [],
  (pair) => Number.parseInt(pair, 16),
);

describe("the Toeplitz hash", () => {
  test.each([
    // Source, destination, source port, destination port, hash of addresses, hash with ports.
    ["66.9.149.187", "161.142.100.80", 2794, 1766, 0x323e8fc2, 0x51ccc178],
    ["199.92.111.2", "65.69.140.83", 14230, 4739, 0xd718262a, 0xc626b0ea],
    ["24.19.198.95", "12.22.207.184", 12898, 38024, 0xd2d0a5de, 0x5c2b394a],
  ])("gives the published values for %s to %s", (from, to, sport, dport, addresses, ports) => {
    const input = new Uint8Array(MAX_HASH_INPUT);
    input.set([...from.split("."), ...to.split(".")].map(Number));
    new DataView(input.buffer).setUint32(8, sport * 0x10000 + dport);
    const hash = new ToeplitzHash(KEY);
    expect(hash.hash(input, 8)).toBe(addresses);
    expect(hash.hash(input, 12)).toBe(ports);
  });

  test("follows a key that changes", () => {
    const hash = new ToeplitzHash(new Uint8Array(52));
    const input = new Uint8Array(MAX_HASH_INPUT).fill(0xff);
    expect(hash.hash(input, 8)).toBe(0);
    hash.setKey(KEY);
    expect(hash.hash(input, 8)).not.toBe(0);
  });
});

describe("checksums", () => {
  test("CRC32c of 32 zero bytes is the published value", () => {
    expect(sctpChecksum(new Uint8Array(32), 0, 32)).toBe(0x8a9136aa);
  });

  test("a packet with its internet checksum in place sums to zero, at any length and sum", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 4, maxLength: 3000 }), (bytes) => {
        bytes[2] = 0;
        bytes[3] = 0;
        const sum = internetChecksum(bytes, 0, bytes.length);
        bytes[2] = sum >> 8;
        bytes[3] = sum & 0xff;
        expect(internetChecksum(bytes, 0, bytes.length)).toBe(0);
      }),
    );
  });
});

const payload = Uint8Array.from({ length: 33 }, (_, index) => index);

describe("classification of frames", () => {
  test.each([
    ["IPv4 TCP", IP_PROTOCOL.TCP, RX_PTYPE.IPV4_TCP, HASH_TYPE.IPV4_TCP],
    ["IPv4 UDP", IP_PROTOCOL.UDP, RX_PTYPE.IPV4_UDP, HASH_TYPE.IPV4_UDP],
    ["IPv4 SCTP", IP_PROTOCOL.SCTP, RX_PTYPE.IPV4_SCTP, HASH_TYPE.IPV4_SCTP],
    ["IPv4 ICMP", IP_PROTOCOL.ICMP, RX_PTYPE.IPV4_ICMP, HASH_TYPE.IPV4_OTHER],
    ["IPv4 GRE", 47, RX_PTYPE.IPV4, HASH_TYPE.IPV4_OTHER],
  ])("%s has its packet and hash type", (_name, protocol, packet, hash) => {
    const found = classify(ethernet(A, B, 0x0800, ipv4(protocol, transport(protocol, payload))));
    expect([found.packetType, found.hashType]).toEqual([packet, hash]);
  });

  test.each([
    ["IPv6 TCP", IP_PROTOCOL.TCP, RX_PTYPE.IPV6_TCP, HASH_TYPE.IPV6_TCP],
    ["IPv6 UDP", IP_PROTOCOL.UDP, RX_PTYPE.IPV6_UDP, HASH_TYPE.IPV6_UDP],
    ["IPv6 SCTP", IP_PROTOCOL.SCTP, RX_PTYPE.IPV6_SCTP, HASH_TYPE.IPV6_SCTP],
    ["ICMPv6", IP_PROTOCOL.ICMPV6, RX_PTYPE.IPV6_ICMP, HASH_TYPE.IPV6_OTHER],
  ])("%s has its packet and hash type", (_name, protocol, packet, hash) => {
    const found = classify(ethernet(A, B, 0x86dd, ipv6(protocol, transport(protocol, payload))));
    expect([found.packetType, found.hashType]).toEqual([packet, hash]);
  });

  test("a fragment is a fragment, whatever it carries", () => {
    const packet = ipv4(IP_PROTOCOL.UDP, transport(IP_PROTOCOL.UDP, payload));
    packet[6] = 0x20;
    const found = classify(ethernet(A, B, 0x0800, packet));
    expect([found.packetType, found.hashType]).toEqual([RX_PTYPE.IPV4_FRAG, HASH_TYPE.IPV4_FRAG]);
  });

  test("IPv6 extension headers are walked, and those that may move the address are told", () => {
    const udp = transport(IP_PROTOCOL.UDP, payload);
    const options = Uint8Array.from([IP_PROTOCOL.UDP, 0, 0, 0, 0, 0, 0, 0, ...udp]);
    const found = classify(ethernet(A, B, 0x86dd, ipv6(60, options)));
    expect(found.packetType).toBe(RX_PTYPE.IPV6_UDP);
    expect(found.ipv6Extension).toBe(true);
    expect(found.l4Length).toBe(udp.length);
  });

  test.each([
    ["whole", 0x0000, RX_PTYPE.IPV6_UDP],
    ["the first", 0x0001, RX_PTYPE.IPV6_FRAG],
    ["a later one", 0x0100, RX_PTYPE.IPV6_FRAG],
  ])("an IPv6 fragment header tells that the packet is %s", (_what, bits, type) => {
    const udp = transport(IP_PROTOCOL.UDP, payload);
    const header = [IP_PROTOCOL.UDP, 0, bits >> 8, (bits & 0xff) | 0x06, 0, 0, 0, 1];
    const found = classify(ethernet(A, B, 0x86dd, ipv6(44, Uint8Array.from([...header, ...udp]))));
    expect(found.packetType).toBe(type);
  });

  test("ARP, LLDP and unknown ethertypes are layer two", () => {
    expect(classify(ethernet(A, B, 0x0806, payload)).packetType).toBe(RX_PTYPE.ARP);
    expect(classify(ethernet(A, B, 0x88cc, payload)).packetType).toBe(6);
    expect(classify(ethernet(A, B, 0x88b5, payload)).packetType).toBe(RX_PTYPE.L2);
  });

  test("a tag is seen and skipped", () => {
    const plain = ethernet(
      A,
      B,
      0x0800,
      ipv4(IP_PROTOCOL.TCP, transport(IP_PROTOCOL.TCP, payload)),
    );
    const found = classify(tagged(plain, 0x6005));
    expect([found.tagTci, found.packetType, found.l3]).toEqual([0x6005, RX_PTYPE.IPV4_TCP, 18]);
  });

  test("any bytes classify without error, inside the frame", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 14, maxLength: 200 }),
        fc.constantFrom(0x0800, 0x86dd, 0x8100, 0x88a8),
        fc.constantFrom(0x45, 0x4f, 0x60, 0x00),
        (frame, type, first) => {
          frame[12] = type >> 8;
          frame[13] = type & 0xff;
          if (frame.length > 14) frame[14] = first;
          const found = classify(frame);
          checksumStatus(frame, found);
          if (found.ipVersion !== 0) {
            expect(found.l4 + found.l4Length).toBeLessThanOrEqual(frame.length);
            const into = new Uint8Array(MAX_HASH_INPUT).fill(0);
            expect(hashInput(frame, found, 31, false, into)).toBeLessThanOrEqual(MAX_HASH_INPUT);
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe("the internet checksum", () => {
  test("of any range is the sum of its 16-bit words, whatever the range's length and place", () => {
    const range = fc.tuple(
      fc.uint8Array({ minLength: 0, maxLength: 600 }),
      fc.nat(40),
      fc.nat(40),
      fc.nat(0xf_ffff),
    );
    fc.assert(
      fc.property(range, ([bytes, before, after, first]) => {
        const start = Math.min(before, bytes.length);
        const end = Math.max(start, bytes.length - after);
        let sum = first;
        for (let at = start; at < end; at += 2) {
          sum += (bytes[at] ?? 0) * 256 + (at + 1 < end ? (bytes[at + 1] ?? 0) : 0);
        }
        expect(foldSum(sumWords(bytes, start, end, first))).toBe(foldSum(sum));
      }),
      { numRuns: 1000 },
    );
  });
});

describe("receive checks", () => {
  const cases = [IP_PROTOCOL.TCP, IP_PROTOCOL.UDP, IP_PROTOCOL.SCTP];

  test.each(cases)(
    "protocol %i: right checksums pass, one wrong payload bit fails layer 4",
    (protocol) => {
      const packet = withL4Checksum(ipv4(protocol, transport(protocol, payload)), 20, protocol);
      const frame = ethernet(A, B, 0x0800, packet);
      expect(checksumStatus(frame, classify(frame))).toBe(RX_STATUS.L3L4P);
      flip(frame, frame.length - 1);
      expect(checksumStatus(frame, classify(frame))).toBe(RX_STATUS.L3L4P | RX_STATUS.L4E);
    },
  );

  test.each(cases)("protocol %i over IPv6 is checked with its pseudo header", (protocol) => {
    const packet = withL4Checksum(ipv6(protocol, transport(protocol, payload)), 40, protocol);
    const frame = ethernet(A, B, 0x86dd, packet);
    expect(checksumStatus(frame, classify(frame))).toBe(RX_STATUS.L3L4P);
    flip(frame, frame.length - 1);
    expect(checksumStatus(frame, classify(frame))).toBe(RX_STATUS.L3L4P | RX_STATUS.L4E);
  });

  test("a wrong IPv4 header checksum is told apart", () => {
    const packet = withL4Checksum(ipv4(17, transport(17, payload)), 20, 17);
    const frame = ethernet(A, B, 0x0800, packet);
    flip(frame, 22);
    expect(checksumStatus(frame, classify(frame))).toBe(RX_STATUS.L3L4P | RX_STATUS.IPE);
  });

  test("a UDP packet without checksum is no error", () => {
    const frame = ethernet(A, B, 0x0800, ipv4(17, transport(17, payload)));
    expect(checksumStatus(frame, classify(frame)) & RX_STATUS.L4E).toBe(0);
  });
});
