import { describe, expect, it } from "vitest";
import { recordingOf } from "../../testing/recordings.ts";
import type { DriverMode } from "../driver-mode.ts";
import type { RecordedEvent } from "../events.ts";
import type { Recording } from "../recording.ts";
import { attribute, type Attribution, type AttributionOptions } from "./attribute.ts";

type Events = readonly RecordedEvent[];

const read = (op: number, value: number, region = 0): RecordedEvent => ({
  kind: "read",
  op,
  region,
  offset: 0,
  data: Uint8Array.of(value),
});
const write = (op: number): RecordedEvent => ({
  kind: "write",
  op,
  region: 0,
  offset: 0,
  data: Uint8Array.of(0),
});
const device = (op: number, value: number, iova = 0x1000): RecordedEvent => ({
  kind: "device-memory",
  op,
  iova,
  data: Uint8Array.of(value),
});
const intended = (mask: number): RecordedEvent => ({
  kind: "intended",
  op: 0,
  change: { iova: 0x1000, mask: Uint8Array.of(mask), why: "it is hidden" },
});

interface Given {
  readonly recorded: Events;
  readonly base: Events;
  readonly transparent: Events;
  readonly active: Events;
  readonly input?: boolean;
}

function verdictOf(given: Given, options?: AttributionOptions): Attribution {
  const run = (events: Events, mode: DriverMode): Recording =>
    recordingOf(events, mode, given.input ?? true);
  const base = run(given.base, "base");
  return attribute(
    {
      recorded: run(given.recorded, "active"),
      base: [base, base],
      transparent: run(given.transparent, "transparent"),
      active: run(given.active, "active"),
    },
    options,
  );
}

const all = (events: Events): Given => ({
  recorded: events,
  base: events,
  transparent: events,
  active: events,
});

/** Steps 1 to 9, so that what comes before them is not late. */
const rest = Array.from({ length: 9 }, (_, i) => write(i + 1));

describe("attribution", () => {
  it("blames nobody where all runs agree", () => {
    expect(verdictOf(all([write(0), device(0, 1), ...rest]))).toMatchObject({
      layer: undefined,
      unreproduced: undefined,
      differences: [],
    });
  });

  it("blames the plugin for what the active run alone shows otherwise", () => {
    const given = all([read(0, 1)]);
    const wrong = { ...given, recorded: [read(0, 2)], active: [read(0, 2)] };
    expect(verdictOf(wrong).layer).toBe("plugin:unknown");
    expect(verdictOf(wrong).shown.map(({ shows }) => shows)).toEqual([
      "0x02",
      "0x01",
      "0x01",
      "0x02",
    ]);
  });

  it("blames core for what begins with the transparent run", () => {
    const given = { ...all([read(0, 2)]), base: [read(0, 1)] };
    expect(verdictOf(given).layer).toBe("core");
  });

  it("leaves out what its user knows", () => {
    const given = { ...all([read(0, 2)]), base: [read(0, 1)] };
    const { key } = verdictOf(given).difference ?? { key: "" };
    expect(verdictOf(given, { ignore: [key] }).layer).toBeUndefined();
  });

  const again = (event: RecordedEvent): Given => ({
    ...all([write(0), device(0, 1, 0x9000), ...rest.slice(0, 3), read(4, 1), ...rest.slice(4)]),
    recorded: [write(0), device(0, 1, 0x9000), ...rest.slice(0, 3), event, ...rest.slice(4)],
  });

  it.each([true, false])(
    "blames no layer for a register that no replay shows so, input %s",
    (input) => {
      expect(verdictOf({ ...again(read(4, 2)), input })).toMatchObject({
        layer: undefined,
        inputGiven: input,
        unreproduced: { kind: "read", op: 4 },
      });
    },
  );

  it("blames no layer for memory that no replay shows so", () => {
    const given = all([write(0), ...rest]);
    expect(verdictOf({ ...given, recorded: [write(0), device(0, 7), ...rest] })).toMatchObject({
      layer: undefined,
      unreproduced: { kind: "memory", left: "0x07", right: "not written" },
    });
  });

  it("does not count in which report of the dirty log a page stands", () => {
    const report = (bits: number): Events => [
      {
        kind: "call",
        op: 0,
        call: { name: "log-report", iova: 0, size: 32_768, pageSize: 4096 },
      },
      { kind: "answer", op: 0, answer: { data: Uint8Array.of(bits) } },
      ...rest,
    ];
    const result = verdictOf({ ...all(report(1)), recorded: report(3) });
    expect(result.differences).toEqual([]);
  });

  it("blames the base for what a function is, and for all before it used memory", () => {
    const config = all([write(0), device(0, 1), ...rest.slice(0, 3), read(4, 1, 7)]);
    const told = { ...config, recorded: [...config.base.slice(0, -1), read(4, 2, 7)] };
    expect(verdictOf(told).layer).toBe("base");
    const early = (first: number): Events => [read(0, first), write(1), device(1, 1)];
    expect(verdictOf({ ...all(early(1)), recorded: early(2) }).layer).toBe("base");
  });

  it("blames the plugin for what differs before what no replay shows", () => {
    const given = all([read(0, 1), ...rest]);
    const late = (first: number): Events => [
      read(0, first),
      ...rest.slice(0, 5),
      device(5, 1),
      ...rest.slice(5),
    ];
    const result = verdictOf({ ...given, recorded: late(2), active: [read(0, 2), ...rest] });
    expect(result).toMatchObject({ layer: "plugin:unknown", unreproduced: undefined });
  });
});

describe("an intended change", () => {
  /** What the device leaves there, and what the plugin makes of it. */
  const changed = (from: number, to: readonly RecordedEvent[]): Attribution => {
    const active = [write(0), ...to, ...rest];
    const base = [write(0), ...(from === 0 ? [] : [device(0, from)]), ...rest];
    return verdictOf({ recorded: active, base, transparent: base, active });
  };

  it("is no difference in the bits that it names, and is listed", () => {
    const result = changed(0x81, [device(0, 0x01), intended(0x80)]);
    expect(result.differences).toEqual([]);
    expect(result.intended).toEqual([
      { place: "guest memory at 0x1000, 1 byte", why: "it is hidden" },
    ]);
  });

  it("is none either where the byte stays what it was, on one side or on both", () => {
    expect(changed(0x80, [intended(0x80)]).differences).toEqual([]);
    expect(changed(0, [intended(0x80)]).differences).toEqual([]);
  });

  it("hides no other bit", () => {
    expect(changed(0x81, [device(0, 0x02), intended(0x80)])).toMatchObject({
      layer: "plugin:unknown",
      difference: { left: "0x81", right: "0x02" },
    });
  });

  it("hides nothing at another place", () => {
    expect(changed(0x81, [device(0, 0x01, 0x1001), intended(0x80)]).layer).toBe("plugin:unknown");
  });
});
