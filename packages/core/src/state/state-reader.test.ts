import { describe, expect, it } from "vitest";
import { z } from "zod";
import { forge, format, header, save, slices } from "../../fixtures/device-state.ts";
import type { StateRecord } from "../sub-driver/facets.ts";
import { inspectState } from "./inspect.ts";
import { DEFAULT_STATE_LIMITS } from "./layout.ts";
import { encodePayload } from "./payload.ts";
import { createStateReader, type StateReader, type StateReaderOptions } from "./state-reader.ts";

function open(options: Partial<StateReaderOptions> = {}): {
  reader: StateReader;
  taken: StateRecord[];
} {
  const taken: StateRecord[] = [];
  const onRecord = (record: StateRecord): void => void taken.push(record);
  return { reader: createStateReader({ format, onHeader() {}, onRecord, ...options }), taken };
}

function payload(value: unknown): Uint8Array {
  return encodePayload(value, DEFAULT_STATE_LIMITS, { index: 0, offset: 0 }).bytes;
}

/** A stream with these records between header and a right end. */
async function streamOf(
  parts: readonly { type: number; payload: Uint8Array; mandatory?: boolean }[],
): Promise<Uint8Array> {
  const bytes = await save([]);
  const first = slices(bytes)[0];
  if (!first) throw new Error("the fixture has changed");
  const body = forge(bytes, [first, ...parts]);
  const end = { type: 2, payload: payload({ bytes: body.length, records: parts.length + 1 }) };
  return forge(bytes, [first, ...parts, end]);
}

describe("a state reader", () => {
  it("skips a record that it does not know where that is optional", async () => {
    const { reader, taken } = open();
    const known = { type: 17, payload: payload({ a: 1 }) };
    const foreign = { type: 99, payload: Uint8Array.of(0xff), mandatory: false };
    const reserved = { type: 3, payload: new Uint8Array(0), mandatory: false };
    await reader.write(await streamOf([foreign, known, reserved]));
    reader.finish();
    expect(taken).toEqual([{ type: "stats", value: { a: 1 } }]);
  });

  it("refuses a record that it does not know where that is mandatory", async () => {
    const { reader } = open();
    await expect(
      reader.write(await streamOf([{ type: 99, payload: payload(1) }])),
    ).rejects.toMatchObject({
      code: "ERR_VFMIG_STATE_RECORD_TYPE",
      details: { record: 1, type: 99, known: ["queue", "stats", "any"] },
    });
  });

  it("refuses a state version that the plugin does not read, naming both", async () => {
    const { reader } = open({ format: { ...format, reads: [1, 3] } });
    await expect(reader.write(await save())).rejects.toMatchObject({
      code: "ERR_VFMIG_STATE_VERSION",
      message: expect.stringMatching(/state version 2.*reads 1, 3/u),
    });
  });

  it("refuses the state of another driver, naming both", async () => {
    const { reader } = open({ driver: "e810-vf" });
    await expect(reader.write(await save())).rejects.toMatchObject({
      code: "ERR_VFMIG_STATE_DRIVER",
      message: expect.stringMatching(/"i40e-vf" 1\.2\.3.*"e810-vf"/u),
    });
  });

  it("names the field that does not fit the schema, and the one that the schema would drop", async () => {
    const queue = { index: 300, ring: "x", slots: new Uint8Array(1) };
    const bad = open();
    await expect(
      bad.reader.write(await streamOf([{ type: 16, payload: payload(queue) }])),
    ).rejects.toMatchObject({
      code: "ERR_VFMIG_STATE_SCHEMA",
      message: expect.stringMatching(/record 1 \(type 16 "queue"\).*index: .*; ring: /u),
    });
    const more = { index: 3, ring: 1, slots: new Uint8Array(1), credits: 4 };
    const dropping = open();
    await expect(
      dropping.reader.write(await streamOf([{ type: 16, payload: payload(more) }])),
    ).rejects.toMatchObject({
      code: "ERR_VFMIG_STATE_SCHEMA",
      message: expect.stringContaining("credits: the schema does not name this field"),
    });
  });

  it("names the record on which a plugin's own check fails", async () => {
    const check = (): boolean => {
      throw new Error("bug in the plugin");
    };
    for (const schema of [z.unknown().refine(check), z.unknown().refine(async () => true)]) {
      const failing = { ...format, records: { any: { id: 18, mandatory: true, schema } } };
      const { reader } = open({ format: failing });
      const stream = await streamOf([{ type: 18, payload: payload(1) }]);
      await expect(reader.write(stream)).rejects.toMatchObject({
        code: "ERR_VFMIG_STATE_SCHEMA",
        details: { record: 1, name: "any" },
      });
      expect(inspectState(stream, failing).records[1]?.problems).toHaveLength(1);
    }
  });

  it("refuses a header that is malformed or names two drivers or versions", async () => {
    const bytes = await save([]);
    const headers: unknown[] = [
      7,
      {},
      { ...header, extra: 1 },
      { ...header, stateVersion: 1 },
      { ...header, stateVersion: 0 },
      { ...header, driver: { name: "other", version: "1" } },
    ];
    for (const value of headers) {
      const { reader } = open();
      await expect(
        reader.write(forge(bytes, [{ type: 1, payload: payload(value) }])),
      ).rejects.toMatchObject({
        code: "ERR_VFMIG_STATE_SCHEMA",
        details: { record: 0, name: "header" },
      });
    }
  });

  it("stays failed after the first error, whatever comes then", async () => {
    const { reader, taken } = open();
    const good = await save();
    await expect(reader.write(Uint8Array.of(1, ...good))).rejects.toMatchObject({
      code: "ERR_VFMIG_STATE_MAGIC",
    });
    const poisoned = {
      code: "ERR_VFMIG_STATE_POISONED",
      cause: expect.objectContaining({ code: "ERR_VFMIG_STATE_MAGIC" }),
    };
    await expect(reader.write(good)).rejects.toMatchObject(poisoned);
    expect(() => reader.finish()).toThrow(expect.objectContaining(poisoned));
    expect(reader.complete).toBe(false);
    expect(taken).toEqual([]);
  });

  it("stays failed after its user refused the header or a record", async () => {
    const refusal = new Error("not here");
    const fail = (): never => {
      throw refusal;
    };
    for (const options of [
      { onHeader: fail },
      { onRecord: fail },
      { onRecord: () => Promise.reject(refusal) },
    ]) {
      const { reader } = open(options);
      await expect(reader.write(await save())).rejects.toBe(refusal);
      expect(() => reader.finish()).toThrow(
        expect.objectContaining({ code: "ERR_VFMIG_STATE_POISONED", cause: refusal }),
      );
    }
  });

  it("hands on one record at a time, and is not complete before the last was taken", async () => {
    const gates: (() => void)[] = [];
    const onRecord = (): Promise<void> => new Promise((resolve) => gates.push(resolve));
    const { reader } = open({ onRecord });
    const writing = reader.write(await save());
    for (let taken = 1; taken <= 3; taken++) {
      while (gates.length < taken) await Promise.resolve();
      expect(gates).toHaveLength(taken);
      expect(reader.complete).toBe(false);
      gates[taken - 1]?.();
    }
    await writing;
    expect(reader.complete).toBe(true);
  });

  it("refuses a call while another is under way, without losing the session", async () => {
    const { reader } = open({ onHeader: () => Promise.resolve() });
    const writing = reader.write(await save());
    const code = { code: "ERR_VFMIG_STATE_SESSION" };
    await expect(reader.write(Uint8Array.of(1))).rejects.toMatchObject(code);
    expect(() => reader.finish()).toThrow(expect.objectContaining(code));
    await writing;
    reader.finish();
    await expect(reader.write(new Uint8Array(0))).rejects.toMatchObject(code);
  });
});
