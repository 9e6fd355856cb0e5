import { describe, expect, it } from "vitest";
import type { RecordedEvent } from "../events.ts";
import { findSuperseded, planReplay } from "./plan.ts";

const map = (op: number, iova: number): RecordedEvent => ({
  kind: "call",
  op,
  call: { name: "map", iova, size: 4096, read: true, write: true, memory: "shared" },
});
const memory = (
  kind: "initial-memory" | "guest-memory" | "device-memory",
  op: number,
  iova: number,
): RecordedEvent => ({ kind, op, iova, data: Uint8Array.of(1) });
const write = (op: number): RecordedEvent => ({
  kind: "write",
  op,
  region: 0,
  offset: 0,
  data: Uint8Array.of(1),
});
const read = (op: number, offset = 0): RecordedEvent => ({
  kind: "read",
  op,
  region: 0,
  offset,
  data: Uint8Array.of(1),
});
const input: RecordedEvent = { kind: "input", op: 1, data: Uint8Array.of(1) };

describe("the plan of a replay", () => {
  it("puts what was in memory at first behind the mapping that holds it", () => {
    const first = memory("initial-memory", 2, 0x2000);
    const events = [map(0, 0x1000), map(1, 0x2000), write(2), first];
    expect(planReplay(events).events).toEqual([events[0], events[1], first, write(2)]);
  });

  it("leaves out what was in memory that nobody mapped", () => {
    const events = [map(0, 0x1000), memory("initial-memory", 0, 0x9000)];
    expect(planReplay(events).events).toEqual([events[0]]);
  });

  it("puts what the guest wrote before the step after which the device found it", () => {
    const found = memory("guest-memory", 1, 0x1000);
    expect(planReplay([map(0, 0x1000), write(1), found]).events).toEqual([
      map(0, 0x1000),
      found,
      write(1),
    ]);
  });

  it("puts what the guest wrote before input that came after it had told the device", () => {
    const found = memory("guest-memory", 1, 0x1000);
    const { events } = planReplay([map(0, 0x1000), write(1), input, found]);
    expect(events.map(({ kind }) => kind)).toEqual(["call", "guest-memory", "write", "input"]);
  });

  it("leaves behind the device's writes what the guest wrote over them", () => {
    const wrote = memory("device-memory", 1, 0x1000);
    const over = memory("guest-memory", 1, 0x1000);
    const { events } = planReplay([map(0, 0x1000), write(1), wrote, over]);
    expect(events.slice(2)).toEqual([wrote, over]);
  });

  it("does not wait for the answers of polls that a later one replaced", () => {
    const events = [read(0), read(1, 4), read(2), write(3), read(4)];
    expect(findSuperseded(events)).toEqual(new Set([events[0]]));
  });
});
