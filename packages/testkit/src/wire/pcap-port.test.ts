import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { execFileSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "@vfmig/core";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createManualClock } from "../clock/manual-clock.ts";
import { readPcap } from "../traffic/pcap.ts";
import { FrameRecorder } from "./frame-recorder.ts";
import type { CountingPort } from "./packet-port.ts";
import { openPcapPort, type PcapPortOptions } from "./pcap-port.ts";
import type { FrameVerdict } from "./port.ts";
import { frameOf } from "./testing/frames.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "pcap-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

interface Captured {
  readonly atUs: number;
  readonly frame: Uint8Array;
  readonly cut?: number;
}

function capture(frames: readonly Captured[], linkType = 1): string {
  const words = (values: readonly number[]): Uint8Array =>
    new Uint8Array(Uint32Array.from(values).buffer);
  const parts = [words([0xa1b2c3d4, 0x0004_0002, 0, 0, 65_535, linkType])];
  for (const { atUs, frame, cut = 0 } of frames) {
    const seconds = Math.floor(atUs / 1e6);
    parts.push(words([seconds, atUs % 1e6, frame.length, frame.length + cut]), frame);
  }
  const path = join(folder, "in.pcap");
  writeFileSync(path, Buffer.concat(parts));
  return path;
}

/** `count` frames, `gapUs` apart, marked 0, 1, 2... */
const row = (count: number, gapUs: number): Captured[] =>
  Array.from({ length: count }, (_, mark) => ({ atUs: mark * gapUs, frame: frameOf(1, 2, mark) }));

function rig(options: Partial<PcapPortOptions> = {}, frames = row(5, 10_000)) {
  const clock = createManualClock();
  const port = openPcapPort({ file: capture(frames), clock, ...options });
  const got: (readonly [timeMs: number, mark: number])[] = [];
  let verdict: FrameVerdict = "accepted";
  const start = clock.now();
  const attach = (): void =>
    port.attach((frame) => {
      got.push([Math.round(clock.now() - start), frame[14] ?? -1]);
      return verdict;
    });
  return { clock, port, got, attach, answer: (next: FrameVerdict) => void (verdict = next) };
}

describe("a capture as a wire", () => {
  test("arrives at its own pace, once", () => {
    const { clock, got, attach, port } = rig();
    attach();
    clock.advance(1000);
    expect(got).toEqual([
      [0, 0],
      [10, 1],
      [20, 2],
      [30, 3],
      [40, 4],
    ]);
    expect(port.counters.received).toBe(5);
  });

  test("arrives evenly where a rate is given", () => {
    const { clock, got, attach } = rig({ rate: 250 });
    attach();
    clock.advance(1000);
    expect(got.map(([timeMs]) => timeMs)).toEqual([0, 4, 8, 12, 16]);
  });

  test("begins anew where it loops, and ends with the port", () => {
    const { clock, got, attach, port } = rig({ loop: true, rate: 1000 });
    attach();
    clock.advance(11);
    expect(got.map(([, mark]) => mark)).toEqual([0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1]);
    port.close();
    clock.advance(100);
    expect(got).toHaveLength(12);
  });

  test("of one frame loops without a storm", () => {
    const { clock, got, attach } = rig({ loop: true }, row(1, 0));
    attach();
    clock.advance(50);
    expect(got.length).toBeGreaterThan(10);
    expect(got.length).toBeLessThan(60);
  });

  test("waits with its first frame for a device that takes none yet", () => {
    const { clock, got, attach, answer } = rig();
    answer("queue-disabled");
    attach();
    clock.advance(350);
    expect(got.map(([, mark]) => mark)).toEqual([0, 0, 0, 0]);
    answer("accepted");
    clock.advance(1000);
    expect(got.map(([, mark]) => mark)).toEqual([0, 0, 0, 0, 0, 1, 2, 3, 4]);
  });

  test("goes on without a device that stops later", () => {
    const { clock, got, attach, answer } = rig();
    attach();
    clock.advance(15);
    answer("queue-disabled");
    clock.advance(1000);
    expect(got.map(([, mark]) => mark)).toEqual([0, 1, 2, 3, 4]);
  });

  test("whose clock stepped back plays in the order of the file", () => {
    const frames = [30_000, 10_000, 40_000].map((atUs, mark) => ({
      atUs,
      frame: frameOf(1, 2, mark),
    }));
    const { clock, got, attach } = rig({}, frames);
    attach();
    clock.advance(1000);
    expect(got).toEqual([
      [0, 0],
      [0, 1],
      [10, 2],
    ]);
  });

  test.each([1, 3])("can be closed by the device that takes frame %d", (last) => {
    const clock = createManualClock();
    const port: CountingPort = openPcapPort({ file: capture(row(5, 1000)), clock, loop: true });
    let taken = 0;
    port.attach(() => {
      if (++taken === last) port.close();
      return "accepted";
    });
    clock.advance(100);
    expect(taken).toBe(last);
  });

  test("leaves out what is no frame", () => {
    const frames = [
      { atUs: 0, frame: new Uint8Array(13) },
      { atUs: 0, frame: frameOf(1, 2, 5) },
      { atUs: 0, frame: new Uint8Array(16_385) },
    ];
    const { clock, got, attach, port } = rig({}, frames);
    attach();
    clock.advance(10);
    expect(got).toEqual([[0, 5]]);
    expect(port.counters).toMatchObject({ runts: 1, oversize: 1 });
  });

  test.each<[string, () => string, string]>([
    ["that is not there", () => join(folder, "nowhere"), "ERR_VFMIG_PCAP_FILE"],
    ["without frames", () => capture([]), "ERR_VFMIG_TRAFFIC_CAPTURE"],
    ["of another medium", () => capture(row(1, 0), 113), "ERR_VFMIG_TRAFFIC_CAPTURE"],
    [
      "with cut frames",
      () => capture([{ atUs: 0, frame: frameOf(1, 2), cut: 1 }]),
      "ERR_VFMIG_TRAFFIC_CAPTURE",
    ],
  ])("%s is refused", (_name, make, code) => {
    expect(() => openPcapPort({ file: make() })).toThrow(expect.objectContaining({ code }));
  });
});

describe("what a device sends to a capture's wire", () => {
  test("is recorded frame by frame, with the time that passed between them", () => {
    const record = join(folder, "out.pcap");
    const { clock, port } = rig({ record });
    port.transmit(frameOf(2, 1, 1, 14));
    clock.advance(1500);
    port.transmit(frameOf(2, 1, 2, 9000));
    port.transmit(new Uint8Array(13));
    port.close();
    const { linkType, frames } = readPcap(readFileSync(record));
    expect(linkType).toBe(1);
    expect(frames.map(({ bytes }) => [...bytes])).toEqual([
      [...frameOf(2, 1, 1, 14)],
      [...frameOf(2, 1, 2, 9000)],
    ]);
    expect(frames[1]?.timeUs).toBeCloseTo(1_500_000, -1);
    expect(statSync(record).mode & 0o777).toBe(0o600);
    expect(port.counters).toMatchObject({ sent: 2, runts: 1 });
  });

  test("is there while the wire is open, a moment later, however much it is", () => {
    const record = join(folder, "out.pcap");
    const { clock, port } = rig({ record });
    for (let mark = 0; mark < 200; mark++) port.transmit(frameOf(2, 1, mark, 1514));
    clock.advance(200);
    expect(readPcap(readFileSync(record)).frames).toHaveLength(200);
    port.close();
  });

  test("is counted where nothing is recorded", () => {
    const { port } = rig();
    port.transmit(frameOf(2, 1));
    expect(port.counters).toMatchObject({ sent: 0, absent: 1 });
  });

  test("ends, and leaves the device alone, where the disk is full", () => {
    const errors: string[] = [];
    const logger = { ...silentLogger, error: (message: string) => void errors.push(message) };
    const clock = createManualClock();
    let room = 5;
    const recorder = new FrameRecorder({
      path: join(folder, "out.pcap"),
      clock,
      logger,
      epochMs: 0,
      write(_file, _bytes, _offset, length) {
        if (room-- > 0) return Math.min(length, 20);
        throw new Error("ENOSPC: no space left on device");
      },
    });
    expect(recorder.record(frameOf(2, 1))).toBe(true);
    clock.advance(1000);
    expect(recorder.record(frameOf(2, 1))).toBe(false);
    recorder.close();
    expect(errors).toHaveLength(1);
  });

  test("is not recorded to a pipe nobody reads, nor to a folder", () => {
    const pipe = join(folder, "pipe");
    execFileSync("mkfifo", [pipe]);
    for (const record of [pipe, folder, join(folder, "missing", "out.pcap")]) {
      expect(() => rig({ record })).toThrow(
        expect.objectContaining({ code: "ERR_VFMIG_PCAP_FILE" }),
      );
    }
  });
});
