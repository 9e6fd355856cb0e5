import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { format, header, records, save } from "../../fixtures/device-state.ts";
import type { StateRecord } from "../sub-driver/facets.ts";
import { createStateReader, type StateReader } from "./state-reader.ts";
import type { StateHeader } from "./state-header.ts";
import { createStateWriter } from "./state-writer.ts";

function collector(): { reader: StateReader; header: StateHeader[]; records: StateRecord[] } {
  const got: { header: StateHeader[]; records: StateRecord[] } = { header: [], records: [] };
  const reader = createStateReader({
    format,
    driver: "i40e-vf",
    onHeader: (value) => void got.header.push(value),
    onRecord: (record) => void got.records.push(record),
  });
  return { reader, ...got };
}

describe("a device state", () => {
  it("comes back as it was written, header first and records in order", async () => {
    const { reader, header: headers, records: got } = collector();
    await reader.write(await save());
    expect(reader.complete).toBe(true);
    reader.finish();
    expect(headers).toEqual([header]);
    expect(got).toEqual(records);
  });

  it("is the same bytes whenever the same state is saved, whatever the order of fields", async () => {
    const value = { slots: new Uint8Array([1]), index: 3, ring: 5n };
    const turned = { ring: 5, index: 3, slots: new Uint8Array([1]), tail: undefined };
    expect(await save([{ type: "queue", value }])).toEqual(
      await save([{ type: "queue", value: turned }]),
    );
  });

  it("survives any split of reads and writes, and any value of plain kinds", async () => {
    const text = fc.string({ unit: "grapheme" }).filter((s) => !s.startsWith("\uFEFF"));
    const leaf = fc.oneof(
      fc.integer(),
      fc.maxSafeInteger(),
      fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n }),
      fc.bigInt({ min: -(2n ** 64n), max: -(2n ** 53n) }),
      fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => (n === 0 ? 0 : n)),
      fc.boolean(),
      fc.constant(null),
      text,
      fc.uint8Array({ max: 40 }).map((bytes) => new Uint8Array(bytes)),
    );
    const key = text.filter((s) => s !== "__proto__");
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof({ maxDepth: 4 }, leaf, fc.array(tie("value")), tie("map")),
      map: fc.dictionary(key, tie("value"), { noNullPrototype: true }),
    }));
    await fc.assert(
      fc.asyncProperty(
        fc.array(value, { maxLength: 6 }),
        fc.infiniteStream(fc.integer({ min: 1, max: 90 })),
        async (values, sizes) => {
          const sent = values.map((inner) => ({ type: "any", value: inner }));
          const writer = createStateWriter({ header, format, records: sent });
          const { reader, records: got } = collector();
          const chunk = new Uint8Array(96);
          for (;;) {
            const n = await writer.read(chunk.subarray(0, sizes.next().value));
            if (n === 0) break;
            for (let at = 0; at < n;) {
              const end = Math.min(n, at + (sizes.next().value ?? 1));
              await reader.write(chunk.subarray(at, end));
              at = end;
            }
          }
          reader.finish();
          expect(got).toEqual(sent);
        },
      ),
      { numRuns: 150 },
    );
  });

  it("survives writes of one byte", async () => {
    const { reader, records: got } = collector();
    for (const byte of await save()) await reader.write(Uint8Array.of(byte));
    reader.finish();
    expect(got).toEqual(records);
  });
});
