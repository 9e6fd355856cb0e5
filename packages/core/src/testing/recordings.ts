import type { DriverMode } from "../record/driver-mode.ts";
import { EventPacker, unpackEvents } from "../record/event-codec.ts";
import type { RecordedEvent } from "../record/events.ts";
import { createRecordingWriter, recordingHeader, type Recording } from "../record/recording.ts";
import { FakeBase } from "./fake-base.ts";

/** A recording of a fake base with these events. */
export function recordingOf(
  events: readonly RecordedEvent[],
  mode: DriverMode = "active",
  input = true,
): Recording {
  return { ...recordingHeader(new FakeBase(), mode), input, events };
}

/** Events as one batch. */
export function packed(events: readonly RecordedEvent[]): Uint8Array {
  const packer = new EventPacker(16);
  for (const event of events) pack(packer, event);
  return packer.take();
}

function pack(packer: EventPacker, event: RecordedEvent): void {
  const { op } = event;
  switch (event.kind) {
    case "read":
    case "write": {
      const { region, offset, data } = event;
      return packer.fill(packer.access(event.kind, op, region, offset, data.length), data);
    }
    case "signal":
    case "missed":
      return packer.signal(event.kind, op, event.index, event.vector);
    case "device-memory":
    case "guest-memory":
    case "initial-memory":
      return packer.memory(event.kind, op, event.iova, event.data);
    case "call":
      return packer.value("call", op, event.call);
    case "answer":
      return packer.value("answer", op, event.answer);
    case "turn":
      return packer.turn(op);
    case "input":
      return packer.input(op, event.data);
    case "intended":
      return packer.intended(op, event.change);
  }
}

/** The events of batches. */
export function unpacked(batches: readonly Uint8Array[]): readonly RecordedEvent[] {
  const events: RecordedEvent[] = [];
  for (const batch of batches) unpackEvents(batch, events);
  return events;
}

/** The file of a recording; `whole` false: its writer died before the end. */
export async function fileOf(recording: Recording, whole = true): Promise<Uint8Array> {
  const writer = createRecordingWriter(recording);
  for (const event of recording.events) writer.add([{ type: "events", value: packed([event]) }]);
  if (recording.ended !== undefined) writer.add([{ type: "ended", value: recording.ended }]);
  if (whole) writer.end();
  const file = new Uint8Array(1 << 20);
  let length = 0;
  for (;;) {
    const count = whole || length === 0 ? await writer.read(file.subarray(length)) : 0;
    length += count;
    if (count === 0) return file.slice(0, length);
  }
}

const register = Uint8Array.of(1, 2, 3, 4);

/** One event of each kind, in an order that can happen. */
export const oneOfEach: readonly RecordedEvent[] = [
  {
    kind: "call",
    op: 0,
    call: { name: "map", iova: 0x1000, size: 0x2000, read: true, write: true, memory: "shared" },
  },
  { kind: "initial-memory", op: 0, iova: 0x1000, data: Uint8Array.of(7) },
  { kind: "write", op: 1, region: 0, offset: 8, data: register },
  { kind: "turn", op: 1 },
  { kind: "input", op: 1, data: new Uint8Array(60).fill(9) },
  { kind: "guest-memory", op: 1, iova: 0x1010, data: Uint8Array.of(1) },
  { kind: "device-memory", op: 1, iova: 0x1020, data: Uint8Array.of(2, 3) },
  {
    kind: "intended",
    op: 1,
    change: { iova: 0x1020, mask: Uint8Array.of(0xff), why: "it is hidden" },
  },
  { kind: "signal", op: 1, index: 2, vector: 0 },
  { kind: "read", op: 2, region: 7, offset: 0, data: register },
  {
    kind: "answer",
    op: 2,
    answer: { error: { code: "E", layer: "base", errno: "EIO", message: "m" } },
  },
  { kind: "missed", op: 2, index: 2, vector: 1 },
];
