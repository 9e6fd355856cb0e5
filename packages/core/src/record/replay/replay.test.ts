import { describe, expect, it } from "vitest";
import { FakeBase } from "../../testing/fake-base.ts";
import { recordingOf } from "../../testing/recordings.ts";
import { systemClock } from "../../clock.ts";
import type { AsyncRegion, VfioDevice } from "../../device/vfio-device.ts";
import { silentLogger } from "../../logger.ts";
import type { RecordedEvent } from "../events.ts";
import type { Recording } from "../recording.ts";
import { replayRecording } from "./replay.ts";

/** Nothing here comes late, so nothing is waited for. */
const limits = { waitMs: 0, callMs: 0, settleMs: 0 };

function replay(device: VfioDevice, recording: Recording): Promise<Recording> {
  const parts = {
    recording,
    mode: "base",
    clock: systemClock,
    logger: silentLogger,
    limits,
  } as const;
  return replayRecording(device, parts);
}

const read = (op: number, value: number): RecordedEvent => ({
  kind: "read",
  op,
  region: 0,
  offset: 0,
  data: Uint8Array.of(value),
});
const write: RecordedEvent = {
  kind: "write",
  op: 0,
  region: 0,
  offset: 0,
  data: Uint8Array.of(4),
};

describe("a replay", () => {
  it("does the steps again, and records what it sees this time", async () => {
    const replayed = await replay(new FakeBase(), recordingOf([write, read(1, 5)]));
    const reads = replayed.events.filter(({ kind }) => kind === "read");
    expect(replayed).toMatchObject({ mode: "base", input: false });
    expect(reads.at(-1)).toEqual(read(1, 4));
  });

  it("is refused on a device that lacks a region", async () => {
    const recording = { ...recordingOf([]), regions: [0x8000] };
    await expect(replay(new FakeBase(), recording)).rejects.toMatchObject({
      code: "ERR_VFMIG_REPLAY",
      details: { region: 0, recorded: 0x8000 },
    });
  });

  it("is refused on a device of another kind", async () => {
    const base = new FakeBase();
    const { identity } = base.info;
    const pci = { ...identity.pci, vendor: 0x8086, device: 0x1889 };
    const recording = {
      ...recordingOf([]),
      identity: { ...identity, pci } as typeof identity,
    };
    await expect(replay(base, recording)).rejects.toMatchObject({
      code: "ERR_VFMIG_REPLAY",
      details: { here: "8086:154c", recorded: "8086:1889" },
    });
  });

  it("goes on where the device refuses a step", async () => {
    const beyond: RecordedEvent = { ...write, offset: 2 ** 30 };
    const replayed = await replay(new FakeBase(), recordingOf([beyond, read(1, 0)]));
    expect(replayed.events).toMatchObject([{ op: 0 }, { kind: "answer", op: 0 }, { op: 1 }]);
  });

  it("gives what came from outside again, at its place, and cuts the device's own wire off", async () => {
    const got: string[] = [];
    let taken = 0;
    const base = Object.assign(new FakeBase(), {
      input: {
        listen() {},
        take() {
          taken++;
          return (data: Uint8Array) => void got.push(data.join(" "));
        },
      },
      writeRegion: () => void got.push("write"),
    });
    const input: RecordedEvent = { kind: "input", op: 0, data: Uint8Array.of(1, 2) };
    const replayed = await replay(base, recordingOf([write, input]));
    expect({ got, taken }).toEqual({ got: ["write", "1 2"], taken: 1 });
    expect(replayed.input).toBe(true);
  });

  it("leaves the device its wire where input was not recorded", async () => {
    const input = { listen() {}, take: () => expect.fail("was taken") };
    const device = Object.assign(new FakeBase(), { input });
    const replayed = await replay(device, recordingOf([write], "base", false));
    expect(replayed.input).toBe(false);
  });

  it("notes what the device does not offer", async () => {
    const call: RecordedEvent = { kind: "call", op: 0, call: { name: "state", target: "stop" } };
    const { events } = await replay(new FakeBase(), recordingOf([call]));
    expect(events).toEqual([call, { kind: "answer", op: 0, answer: { skipped: true } }]);
  });

  it("waits where the device's region waits", async () => {
    const seen: string[] = [];
    const region: AsyncRegion = {
      read: async (offset, into) => {
        await Promise.resolve();
        into.fill(7);
        seen.push(`read ${offset}`);
      },
      write: async (offset) => void seen.push(`write ${offset}`),
    };
    const device = Object.assign(new FakeBase(), { asyncRegions: new Map([[0, region]]) });
    const { events } = await replay(device, recordingOf([write, read(1, 7)]));
    expect(seen).toEqual(["write 0", "read 0"]);
    expect(events).toEqual([write, read(1, 7)]);
  });

  it("puts the guest's memory back before the step that needs it", async () => {
    const events: readonly RecordedEvent[] = [
      {
        kind: "call",
        op: 0,
        call: { name: "map", iova: 0, size: 4096, read: true, write: true, memory: "shared" },
      },
      { kind: "write", op: 1, region: 0, offset: 0, data: Uint8Array.of(1) },
      { kind: "initial-memory", op: 1, iova: 8, data: Uint8Array.of(3) },
      { kind: "guest-memory", op: 1, iova: 9, data: Uint8Array.of(5) },
    ];
    const device = new FakeBase();
    let seen: Uint8Array | undefined;
    device.writeRegion = () => {
      seen = device.dma.entries[0]?.mapping.memory?.bytes.slice(8, 10);
    };
    await replay(device, recordingOf(events));
    expect(seen).toEqual(Uint8Array.of(3, 5));
  });
});
