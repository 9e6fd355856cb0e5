import { describe, expect, test } from "vitest";
import { rxRingCodec } from "./ring-codecs.ts";
import { RX_FLEX_STATUS, RXDID, writeRxFlexBack } from "./rx-flex.ts";
import { RX_STATUS, writeRxBack } from "./rx.ts";

const memory = (): DataView => new DataView(new ArrayBuffer(64));

describe("the codec of a receive ring", () => {
  test("knows how many bytes the device wrote, in the format of its queue", () => {
    const legacy = memory();
    writeRxBack(legacy, 32, {
      status: RX_STATUS.EOP,
      length: 1234,
      packetType: 0,
      hash: 7,
      tag: 0,
    });
    expect(rxRingCodec(2048).written(legacy, 32)).toBe(1234);
    const flexible = memory();
    const value = { length: 1234, packetType: 0, hash: 0xffff_ffff, tag: 0, tag2: -1 };
    writeRxFlexBack(flexible, 32, { ...value, status: RX_FLEX_STATUS.EOF });
    expect(rxRingCodec(2048, RXDID.FLEX_NIC).written(flexible, 32)).toBe(1234);
  });

  test.each([RXDID.LEGACY_32, RXDID.FLEX_NIC])(
    "hands a write-back of format %i on as it is",
    (rxdid) => {
      const from = memory();
      const to = memory();
      const value = { length: 60, packetType: 24, hash: 0x1234_5678, tag: 5 };
      if (rxdid === RXDID.FLEX_NIC) {
        writeRxFlexBack(from, 0, { ...value, status: RX_FLEX_STATUS.EOF, tag2: 9 });
      } else {
        writeRxBack(from, 0, { ...value, status: RX_STATUS.EOP });
      }
      rxRingCodec(2048, rxdid).writeBack(from, 0, to, 32);
      expect(new Uint8Array(to.buffer, 32, 32)).toEqual(new Uint8Array(from.buffer, 0, 32));
    },
  );
});
