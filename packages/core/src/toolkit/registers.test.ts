import { assert, integer, property, tuple } from "fast-check";
import { expect, test } from "vitest";
import { baseRegisters, readRegisters, type RegisterAccess, writeRegisters } from "./registers.ts";

const SIZE = 64;

function memory(): { readonly bytes: Uint8Array; readonly registers: RegisterAccess } {
  const bytes = Uint8Array.from({ length: SIZE }, (_, at) => at + 1);
  const data = new DataView(bytes.buffer);
  const registers: RegisterAccess = {
    read: (offset) => data.getUint32(offset, true),
    write: (offset, value) => data.setUint32(offset, value, true),
  };
  return { bytes, registers };
}

const access = tuple(integer({ min: 0, max: SIZE - 1 }), integer({ min: 1, max: 24 })).map(
  ([offset, length]) => ({ offset, length: Math.min(length, SIZE - offset) }),
);

test("A read of any width and place gives the bytes of the registers there", () => {
  assert(
    property(access, ({ offset, length }) => {
      const { bytes, registers } = memory();
      const into = new Uint8Array(length);
      readRegisters(registers, offset, into);
      expect(into).toEqual(bytes.slice(offset, offset + length));
    }),
  );
});

test("A write changes the registers that it covers wholly, and no other", () => {
  assert(
    property(access, ({ offset, length }) => {
      const { bytes, registers } = memory();
      const before = bytes.slice();
      writeRegisters(registers, offset, new Uint8Array(length).fill(0xee));
      const first = Math.ceil(offset / 4) * 4;
      const end = Math.floor((offset + length) / 4) * 4;
      if (end > first) before.fill(0xee, first, end);
      expect(bytes).toEqual(before);
    }),
  );
});

test("Registers above 31 bits keep their sign to themselves, in little-endian order", () => {
  const bytes = new Uint8Array(8);
  const registers = baseRegisters(
    {
      info: { regions: [] } as never,
      readRegion: (_index, offset, into) => into.set(bytes.subarray(offset, offset + into.length)),
      writeRegion: (_index, offset, from) => bytes.set(from, offset),
      reset: () => Promise.resolve(),
    },
    0,
  );
  registers.write(4, 0x8000_00ff | 0);
  expect([...bytes]).toEqual([0, 0, 0, 0, 0xff, 0, 0, 0x80]);
  expect(registers.read(4)).toBe(0x8000_00ff);
  const into = new Uint8Array(4);
  readRegisters(registers, 4, into);
  expect([...into]).toEqual([0xff, 0, 0, 0x80]);
});
