import { describe, expect, it } from "vitest";
import { z } from "zod";
import { format, header, records, save } from "../../fixtures/device-state.ts";
import type { StateRecord } from "../sub-driver/facets.ts";
import { createStateWriter, type StateWriter } from "./state-writer.ts";

const chunk = new Uint8Array(4096);

async function readAll(writer: StateWriter, size = 4096): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for (;;) {
    const n = await writer.read(chunk.subarray(0, size));
    if (n === 0) return new Uint8Array(Buffer.concat(parts));
    parts.push(chunk.slice(0, n));
  }
}

describe("a state writer", () => {
  it("gives the same bytes for any size of reads, and 0 for ever after the end", async () => {
    const whole = await save();
    for (const size of [1, 3, 17, 4096]) {
      const writer = createStateWriter({ header, format, records });
      expect(writer.done).toBe(false);
      expect(await readAll(writer, size)).toEqual(whole);
      expect(writer.done).toBe(true);
      expect(writer.pending).toBe(0);
      expect(await writer.read(chunk)).toBe(0);
    }
  });

  it("asks the plugin for a record only when the bytes before it were read", async () => {
    let asked = 0;
    function* source(): Generator<StateRecord> {
      for (;;) {
        asked += 1;
        yield { type: "any", value: new Uint8Array(1000) };
      }
    }
    const writer = createStateWriter({ header, format, records: source() });
    expect(asked).toBe(0);
    expect(writer.pending).toBeGreaterThan(100);
    await writer.read(chunk.subarray(0, writer.pending));
    expect(asked).toBe(0);
    await writer.read(chunk.subarray(0, 10));
    expect(asked).toBe(1);
    expect(writer.pending).toBe(16 + 1003 - 10);
    await writer.read(chunk.subarray(0, writer.pending));
    expect(asked).toBe(1);
  });

  it("carries what is ready before the stop, then the rest, in one stream", async () => {
    const writer = createStateWriter({ header, format });
    writer.add(records.slice(0, 1));
    const early = await readAll(writer);
    expect(writer.done).toBe(false);
    expect(await writer.read(chunk)).toBe(0);
    writer.add(records.slice(1, 2));
    writer.add(records.slice(2));
    writer.end();
    const late = await readAll(writer, 5);
    expect(new Uint8Array(Buffer.concat([early, late]))).toEqual(await save());
    expect(() => writer.add([])).toThrow(
      expect.objectContaining({ code: "ERR_VFMIG_STATE_SESSION" }),
    );
  });

  it("takes records from an async source", async () => {
    async function* source(): AsyncGenerator<StateRecord> {
      for (const record of records) {
        await Promise.resolve();
        yield record;
      }
    }
    expect(await save(source())).toEqual(await save());
  });

  it("names the record and field that the plugin got wrong, and stays failed", async () => {
    const slots = new Uint8Array(1);
    const cases: [unknown, string, RegExp][] = [
      [
        { type: "nope", value: 1 },
        "ERR_VFMIG_STATE_RECORD_TYPE",
        /record 1 .*"nope".*queue, stats/u,
      ],
      [{ type: "toString", value: 1 }, "ERR_VFMIG_STATE_RECORD_TYPE", /"toString"/u],
      [undefined, "ERR_VFMIG_STATE_RECORD_TYPE", /"undefined"/u],
      [
        { type: "queue", value: { index: -1, ring: 1, slots } },
        "ERR_VFMIG_STATE_SCHEMA",
        /index: /u,
      ],
      [
        { type: "queue", value: { index: 1, ring: 1, slots, more: 1 } },
        "ERR_VFMIG_STATE_SCHEMA",
        /more: /u,
      ],
      [{ type: "any", value: { deep: [new Date(0)] } }, "ERR_VFMIG_STATE_PAYLOAD", /record 1 /u],
    ];
    for (const [record, code, message] of cases) {
      const writer = createStateWriter({ header, format, records: [record as StateRecord] });
      const failed = expect.objectContaining({ code, message: expect.stringMatching(message) });
      await expect(readAll(writer)).rejects.toEqual(failed);
      await expect(writer.read(chunk)).rejects.toMatchObject({
        code: "ERR_VFMIG_STATE_POISONED",
        cause: failed,
      });
    }
  });

  it("finds on the saving side what a schema would refuse only after loading", async () => {
    // 5n comes back as 5: a schema of bigint alone fits the value, but not what a reader gets.
    const bigints = { id: 16, mandatory: true, schema: z.bigint() };
    const records = [{ type: "ring", value: 5n }];
    const only = { ...format, records: { ring: bigints } };
    const writer = createStateWriter({ header, format: only, records });
    await expect(readAll(writer)).rejects.toMatchObject({ code: "ERR_VFMIG_STATE_SCHEMA" });
  });

  it("refuses a header that its readers would refuse", () => {
    expect(() =>
      createStateWriter({ header: { ...header, stateVersion: 1 }, format, records }),
    ).toThrow(expect.objectContaining({ code: "ERR_VFMIG_STATE_SCHEMA" }));
  });

  it("passes on what the plugin throws, and stays failed", async () => {
    const failure = new Error("the firmware does not answer");
    function* source(): Generator<StateRecord> {
      yield { type: "any", value: 1 };
      throw failure;
    }
    const writer = createStateWriter({ header, format, records: source() });
    await expect(readAll(writer)).rejects.toBe(failure);
    await expect(writer.read(chunk)).rejects.toMatchObject({ cause: failure });
  });

  it("lets the plugin clean up when it is closed early, once", async () => {
    let cleaned = 0;
    async function* source(): AsyncGenerator<StateRecord> {
      try {
        yield* records;
      } finally {
        cleaned += 1;
      }
    }
    const writer = createStateWriter({ header, format, records: source() });
    await writer.read(chunk.subarray(0, writer.pending + 1));
    await writer.close();
    await writer.close();
    expect(cleaned).toBe(1);
    await expect(writer.read(chunk)).rejects.toMatchObject({ code: "ERR_VFMIG_STATE_SESSION" });
  });

  it("closes although the plugin never gives its record, and refuses a second read meanwhile", async () => {
    async function* source(): AsyncGenerator<StateRecord> {
      await new Promise(() => {});
      yield { type: "any", value: 1 };
    }
    const writer = createStateWriter({ header, format, records: source() });
    const reading = writer.read(chunk);
    await expect(writer.read(chunk)).rejects.toMatchObject({ code: "ERR_VFMIG_STATE_SESSION" });
    await writer.close();
    expect(await Promise.race([reading, Promise.resolve("pending")])).toBe("pending");
  });
});
