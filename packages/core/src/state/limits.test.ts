import { describe, expect, it } from "vitest";
import { forge, format, header, save, slices } from "../../fixtures/device-state.ts";
import { encodeFrame } from "./frame.ts";
import { GrowingBuffer } from "./growing-buffer.ts";
import type { StateLimits } from "./layout.ts";
import { createStateReader } from "./state-reader.ts";
import { createStateWriter } from "./state-writer.ts";

async function load(bytes: Uint8Array, limits: Partial<StateLimits> = {}): Promise<void> {
  const reader = createStateReader({ format, limits, onHeader() {}, onRecord() {} });
  await reader.write(bytes);
  reader.finish();
}

/** A stream whose second record's head states `length`, and that ends there. */
async function claiming(length: number): Promise<Uint8Array> {
  const bytes = await save([]);
  const head = encodeFrame(1, 18, true, new Uint8Array(0));
  new DataView(head.buffer).setUint32(8, length, true);
  const end = slices(bytes)[1]?.offset;
  return new Uint8Array(Buffer.concat([bytes.subarray(0, end), head]));
}

describe("limits of a device state", () => {
  it("refuse a length beyond the limit as soon as the head is there", async () => {
    for (const length of [0xffff_ffff, 0x8000_0000, 4 * 1024 * 1024 + 1]) {
      const error = { code: "ERR_VFMIG_STATE_LIMIT", details: { record: 1, type: 18 } };
      await expect(load(await claiming(length))).rejects.toMatchObject(error);
    }
  });

  it("do not let a stated length cost memory before its bytes come", async () => {
    const bytes = await claiming(2 ** 30);
    const reader = createStateReader({
      format,
      limits: { recordBytes: 2 ** 31, streamBytes: 2 ** 32 },
      onHeader() {},
      onRecord() {},
    });
    const before = process.memoryUsage().arrayBuffers;
    await reader.write(bytes);
    await reader.write(new Uint8Array(10_000));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1_000_000);
    expect(() => reader.finish()).toThrow(
      expect.objectContaining({ code: "ERR_VFMIG_STATE_TRUNCATED" }),
    );
  });

  it("let a buffer grow to twice what has arrived and never above what was asked for", () => {
    const buffer = new GrowingBuffer(16);
    const total = 100_000;
    for (let at = 0; at < total; at += 250) {
      buffer.append(new Uint8Array(250).fill(at), 0, 250, total);
      expect(buffer.capacity).toBeLessThanOrEqual(Math.min(total, Math.max(16, 2 * buffer.length)));
    }
    expect(buffer.bytes()[total - 1]).toBe((total - 250) & 0xff);
  });

  it("bound records, the stream, nesting and values", async () => {
    const nested = (depth: number): unknown => (depth === 0 ? 1 : [nested(depth - 1)]);
    const stream = await save([
      { type: "any", value: nested(20) },
      { type: "any", value: Array.from({ length: 400 }, () => 0) },
    ]);
    await load(stream);
    const refused = (limits: Partial<StateLimits>, record: number): Promise<void> =>
      expect(load(stream, limits)).rejects.toMatchObject({
        code: "ERR_VFMIG_STATE_LIMIT",
        details: { record },
      });
    await load(stream, { records: 4, depth: 20, items: 401, streamBytes: stream.length });
    await refused({ records: 3 }, 3);
    await refused({ streamBytes: stream.length - 1 }, 3);
    await refused({ depth: 19 }, 1);
    await refused({ items: 400 }, 2);
  });

  it("hold for hostile payloads before anything is decoded", async () => {
    const stream = await save([]);
    const [first, end] = slices(stream);
    if (!first || !end) throw new Error("the fixture has changed");
    const deep = new Uint8Array(1_000_000).fill(0x81);
    const wide = new Uint8Array(1_000_000).fill(0xa0);
    wide.set([0x9a, 0x00, 0x0f, 0x42, 0x3b]);
    for (const [payload, code] of [
      [deep, "ERR_VFMIG_STATE_LIMIT"],
      [wide, "ERR_VFMIG_STATE_LIMIT"],
      [
        Uint8Array.of(0x9b, 0x00, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
        "ERR_VFMIG_STATE_PAYLOAD",
      ],
      [
        Uint8Array.of(0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
        "ERR_VFMIG_STATE_PAYLOAD",
      ],
      [Uint8Array.of(0x5a, 0xff, 0xff, 0xff, 0xff), "ERR_VFMIG_STATE_PAYLOAD"],
    ] as const) {
      const bytes = forge(stream, [first, { type: 18, payload }, end]);
      await expect(load(bytes)).rejects.toMatchObject({ code, details: { record: 1, type: 18 } });
    }
  });

  it("hold for the writer too, so that it never writes what no reader takes", async () => {
    const big = { type: "any", value: new Uint8Array(2000) };
    for (const limits of [{ recordBytes: 1000 }, { streamBytes: 1500 }, { records: 2 }]) {
      const writer = createStateWriter({ header, format, records: [big], limits });
      await expect(writer.read(new Uint8Array(10_000))).rejects.toMatchObject({
        code: "ERR_VFMIG_STATE_LIMIT",
      });
    }
  });
});
