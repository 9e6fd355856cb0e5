import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CONFIG_SPACE_SIZE, ConfigSpace, type ConfigField } from "./config-space.ts";
import { functionTable, type FunctionSpec } from "./function-table.ts";

const SPEC: FunctionSpec = {
  vendor: 0x1234,
  device: 0x5678,
  revision: 3,
  classCode: 0x02_0080,
  subsystemVendor: 0x9abc,
  subsystemDevice: 0xdef0,
  bars: [
    { index: 0, size: 0x4000 },
    { index: 2, size: 0x10_0000 },
  ],
  msix: { offset: 0x50, vectors: 33, bar: 2, tableOffset: 0x1000, pendingOffset: 0x8000 },
  express: {
    offset: 0x60,
    deviceCapabilities: 0x1000_8001,
    linkCapabilities: 0x11,
    deviceCapabilities2: 0,
  },
  extended: [
    { id: 1, version: 1, offset: 0x100 },
    { id: 0xe, version: 1, offset: 0x140 },
  ],
};

function read(space: ConfigSpace, offset: number, size: number): number {
  const bytes = new Uint8Array(size);
  space.read(offset, bytes);
  return bytes.reduceRight((value, byte) => value * 256 + byte, 0);
}

describe("a configuration space made from a table", () => {
  test("gives header, BARs, capabilities and the extended list of its function", () => {
    const space = new ConfigSpace(functionTable(SPEC));
    expect([0, 8, 0x2c].map((at) => read(space, at, 4))).toEqual([
      0x5678_1234, 0x0200_8003, 0xdef0_9abc,
    ]);
    space.write(0x10, new Uint8Array(24).fill(0xff));
    expect([0x10, 0x14, 0x18, 0x1c, 0x20, 0x24].map((at) => read(space, at, 4))).toEqual([
      0xffff_c00c, 0xffff_ffff, 0xfff0_000c, 0xffff_ffff, 0, 0,
    ]);
    expect([read(space, 0x34, 1), read(space, 0x51, 1), read(space, 0x61, 1)]).toEqual([
      0x50, 0x60, 0,
    ]);
    expect([read(space, 0x52, 2), read(space, 0x54, 4), read(space, 0x58, 4)]).toEqual([
      32, 0x1002, 0x8002,
    ]);
    expect(read(space, 0x100, 4) >>> 20).toBe(0x140);
    expect(read(space, 0x140, 4) >>> 20).toBe(0);
  });

  test("forgets writes at a reset", () => {
    const space = new ConfigSpace(functionTable(SPEC));
    space.write(4, Uint8Array.of(0xff, 0xff));
    expect(read(space, 4, 2)).toBe(6);
    space.reset();
    expect(read(space, 4, 2)).toBe(0);
  });

  test("an access of any width at any alignment does what its bytes do", () => {
    const accesses = fc.array(
      fc.record({
        offset: fc.integer({ min: 0, max: CONFIG_SPACE_SIZE - 16 }),
        bytes: fc.uint8Array({ minLength: 1, maxLength: 16 }),
      }),
      { maxLength: 40 },
    );
    fc.assert(
      fc.property(accesses, (list) => {
        const whole = new ConfigSpace(functionTable(SPEC));
        const single = new ConfigSpace(functionTable(SPEC));
        for (const { offset, bytes } of list) {
          whole.write(offset, bytes);
          for (const [index, byte] of bytes.entries()) {
            single.write(offset + index, Uint8Array.of(byte));
          }
          const seen = new Uint8Array(bytes.length);
          whole.read(offset, seen);
          for (const [index, byte] of seen.entries()) {
            expect(read(single, offset + index, 1)).toBe(byte);
          }
        }
      }),
      { numRuns: 200 },
    );
  });

  test.each<readonly [string, ConfigField]>([
    ["beyond the space", { name: "late", offset: 4094, size: 4, value: 0 }],
    ["before the space", { name: "early", offset: -1, size: 2, value: 0 }],
    ["on another field", { name: "second", offset: 1, size: 2, value: 0 }],
  ])("refuses a field %s", (_, field) => {
    const first: ConfigField = { name: "first", offset: 0, size: 2, value: 1 };
    expect(() => new ConfigSpace([first, field])).toThrow(
      expect.objectContaining({ code: "ERR_VFMIG_MODEL_TABLE" }),
    );
  });
});
