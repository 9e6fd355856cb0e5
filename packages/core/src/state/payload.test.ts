import { describe, expect, it } from "vitest";
import { DEFAULT_STATE_LIMITS } from "./layout.ts";
import { decodePayload, encodePayload } from "./payload.ts";

const place = { index: 4, offset: 99, type: 18, name: "any" };

function decodeHex(hex: string): unknown {
  return decodePayload(Buffer.from(hex.replaceAll(" ", ""), "hex"), DEFAULT_STATE_LIMITS, place);
}

describe("a payload", () => {
  it.each([
    ["nothing", ""],
    ["two values", "01 02"],
    ["a list of indefinite length", "9f 01 ff"],
    ["a map of indefinite length", "bf ff"],
    ["a byte string of indefinite length", "5f 41 00 ff"],
    ["a break", "ff"],
    ["a reserved length", "1c"],
    ["a tag", "c0 60"],
    ["a tagged big number", "c2 49 01 00 00 00 00 00 00 00 00"],
    ["undefined", "f7"],
    ["a simple value", "f8 ff"],
    ["an unassigned simple value", "e0"],
    ["NaN", "f9 7e 00"],
    ["infinity", "f9 7c 00"],
    ["an integer as a float", "f9 3c 00"],
    ["minus zero", "f9 80 00"],
    ["a float that is longer than it need be", "fb 3f f8 00 00 00 00 00 00"],
    ["an integer that is longer than it need be", "18 17"],
    ["a length that is longer than it need be", "58 01 00"],
    ["a key that is no text", "a1 01 02"],
    ["a key twice", "a2 61 61 01 61 61 02"],
    ["keys out of order", "a2 61 62 01 61 61 02"],
    ["the longer key first", "a2 62 61 61 01 61 62 02"],
    ["text that is not UTF-8", "61 ff"],
    ["half a surrogate pair", "63 ed a0 80"],
    ["the key __proto__", "a1 69 5f 5f 70 72 6f 74 6f 5f 5f a0"],
    ["a cut list", "82 01"],
    ["a cut string", "62 61"],
    ["a cut integer", "1a 00"],
    ["a cut float", "fa 00"],
    ["a map without its last value", "a1 61 61"],
  ])("is refused where it holds %s", (_what, hex) => {
    expect(() => decodeHex(hex)).toThrow(
      expect.objectContaining({
        code: "ERR_VFMIG_STATE_PAYLOAD",
        message: expect.stringContaining('record 4 (type 18 "any") at offset 99'),
      }),
    );
  });

  it("gives integers, floats, text, bytes, lists, maps, booleans and null", () => {
    expect(decodeHex("86 01 20 f9 3e 00 61 61 41 07 a1 61 61 82 f5 f6")).toEqual([
      1,
      -1,
      1.5,
      "a",
      Uint8Array.of(7),
      { a: [true, null] },
    ]);
    expect(decodeHex("1b ff ff ff ff ff ff ff ff")).toBe(2n ** 64n - 1n);
    expect(decodeHex("3b ff ff ff ff ff ff ff ff")).toBe(-(2n ** 64n));
    expect(decodeHex("1b 00 1f ff ff ff ff ff ff")).toBe(Number.MAX_SAFE_INTEGER);
  });

  it("keeps its bytes when the buffer that it came in is used again", () => {
    const bytes = Uint8Array.of(0x42, 1, 2);
    const value = decodePayload(bytes, DEFAULT_STATE_LIMITS, place);
    bytes.fill(0);
    expect(value).toEqual(Uint8Array.of(1, 2));
  });

  it.each([
    ["an array of words", { a: new Uint16Array(2) }, "a"],
    ["half a surrogate pair", { a: ["\uD800"] }, "a.0"],
    ["a map object", new Map([["a", 1]]), "(value)"],
    ["NaN", { a: { b: Number.NaN } }, undefined],
    ["infinity", [Number.POSITIVE_INFINITY], undefined],
    ["undefined in a list", [undefined], undefined],
    ["undefined", undefined, undefined],
    ["a function", { f: () => 1 }, undefined],
    ["a date", { at: new Date(0) }, undefined],
    ["a set", new Set([1]), undefined],
    ["an integer beyond 64 bits", 2n ** 64n, undefined],
    ["the key __proto__", JSON.parse('{"__proto__":1}') as unknown, undefined],
  ])("is not made of %s", (_what, value, field) => {
    const message = field === undefined ? "" : `field ${field} `;
    expect(() => encodePayload(value, DEFAULT_STATE_LIMITS, place)).toThrow(
      expect.objectContaining({
        code: "ERR_VFMIG_STATE_PAYLOAD",
        message: expect.stringContaining(message),
      }),
    );
  });

  it("is not made of an object that holds itself", () => {
    const ring: unknown[] = [];
    ring.push(ring);
    expect(() => encodePayload(ring, DEFAULT_STATE_LIMITS, place)).toThrow(
      expect.objectContaining({ code: "ERR_VFMIG_STATE_PAYLOAD" }),
    );
  });
});
