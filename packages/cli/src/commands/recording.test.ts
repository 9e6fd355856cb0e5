import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  createRecordingWriter,
  readRecording,
  recordDevice,
  recordingHeader,
  silentLogger,
  systemClock,
  type DriverMode,
  type Recording,
  type VfioDevice,
} from "@vfmig/core";
import type * as host from "@vfmig/host";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { EXIT } from "../exit-codes.ts";
import { runCli } from "../program.ts";

const replayFile = vi.hoisted(() =>
  vi.fn<(options: Parameters<typeof host.replayFile>[0]) => Promise<Recording>>(),
);
const openHost = vi.hoisted(() => vi.fn<typeof host.openHost>());
vi.mock(import("@vfmig/host"), async (original) => ({
  ...(await original()),
  replayFile,
  openHost,
}));

/** A device whose only register always tells `value`. */
function deviceOf(value: number, frame: boolean): VfioDevice {
  let arrive = (_frame: Uint8Array): void => {};
  return {
    ...(frame && { input: { listen: (next) => (arrive = next), take: () => () => {} } }),
    info: {
      identity: { device: "vf0", base: { name: "fake", version: "1.0.0" } },
      pci: false,
      resettable: false,
      regions: [{ index: 0, size: 4096, read: true, write: true }],
      irqs: [],
      iovaWindows: [{ first: 0n, last: 0xffff_ffffn }],
    },
    migration: undefined,
    dmaLogging: undefined,
    readRegion(_index, _offset, into) {
      into.fill(value);
      arrive(Uint8Array.of(1));
    },
    writeRegion() {},
    setIrqs() {},
    mapDma() {},
    unmapDma() {},
    reset: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** The file of a run whose guest reads that register; with `frame`, one arrives, and it reads again. */
async function fileOf(
  value: number,
  mode: DriverMode,
  frame = false,
  replay = false,
): Promise<Uint8Array> {
  const device = deviceOf(value, frame);
  const writer = createRecordingWriter({ ...recordingHeader(device, mode), replay });
  const recorded = recordDevice(device, {
    sink: (batch) => writer.add([{ type: "events", value: batch }]),
    clock: systemClock,
    logger: silentLogger,
  });
  recorded.readRegion(0, 8, new Uint8Array(1));
  if (frame) recorded.readRegion(0, 16, new Uint8Array(1));
  recorded.flush();
  writer.end();
  const file = new Uint8Array(65_536);
  return file.slice(0, await writer.read(file));
}

describe("the commands of recordings", () => {
  let folder: string;
  let out: string;
  let err: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "vfmig-recording-"));
    [out, err] = ["", ""];
    vi.spyOn(process.stdout, "write").mockImplementation((text) => ((out += String(text)), true));
    vi.spyOn(process.stderr, "write").mockImplementation((text) => ((err += String(text)), true));
  });

  afterEach(async () => {
    vi.restoreAllMocks();
    replayFile.mockReset();
    openHost.mockReset();
    await rm(folder, { recursive: true });
  });

  async function file(name: string, value: number, mode: DriverMode): Promise<string> {
    const path = join(folder, name);
    await writeFile(path, await fileOf(value, mode));
    return path;
  }

  /** Replays show these values, by mode. */
  function replaysShow(values: Readonly<Record<DriverMode, number>>): void {
    replayFile.mockImplementation(async ({ mode }) =>
      readRecording(await fileOf(values[mode], mode)),
    );
  }

  it("attribute ends with 0 where no layer changed anything", async () => {
    replaysShow({ base: 1, transparent: 1, active: 1 });
    expect(await runCli(["attribute", await file("run", 1, "active")])).toBe(EXIT.ok);
    expect(out).toContain("No difference in 1 steps");
    expect(replayFile.mock.calls.map(([{ mode }]) => mode)).toEqual([
      "base",
      "base",
      "transparent",
      "active",
    ]);
  });

  it("attribute ends with 1 where a layer did, names it, and says how to leave it out", async () => {
    replaysShow({ base: 1, transparent: 1, active: 2 });
    const run = await file("run", 2, "active");
    expect(await runCli(["attribute", run])).toBe(EXIT.failed);
    expect(out).toContain("First difference: read of BAR0+0x8, 1 byte, at step 0 of 1");
    expect(out).toContain("Made by: plugin:");
    const key = /--ignore "(?<key>[^"]+)"/.exec(out)?.groups?.["key"] ?? "";
    expect(await runCli(["attribute", run, "--ignore", key])).toBe(EXIT.ok);
  });

  it("attribute ends with 6 where no replay shows what was recorded after a frame", async () => {
    const run = join(folder, "run");
    await writeFile(run, await fileOf(1, "active", true));
    replayFile.mockImplementation(async ({ mode }) => {
      const replayed = await readRecording(await fileOf(1, mode, true));
      const events = replayed.events.map((event) =>
        event.kind === "read" && event.op === 1 ? { ...event, data: Uint8Array.of(9) } : event,
      );
      return { ...replayed, events };
    });
    expect(await runCli(["attribute", run])).toBe(EXIT.undecided);
    expect(out).toContain("Recorded and not seen again: read of BAR0+0x10, 1 byte, at step 1 of 2");
    expect(out).toContain(
      "Made by: nobody can say, since no replay shows it. What came from outside",
    );
  });

  it("attribute prints one object with --json", async () => {
    replaysShow({ base: 1, transparent: 2, active: 2 });
    const run = await file("run", 2, "active");
    expect(await runCli(["attribute", run, "--json"])).toBe(EXIT.failed);
    expect(JSON.parse(out)).toMatchObject({
      schemaVersion: 1,
      layer: "core",
      inputGiven: false,
      intended: [],
      difference: { kind: "read", left: "0x01", right: "0x02" },
    });
    expect(out).toContain('"unreproduced":null');
  });

  it("attribute says that its replays may not have had the same input", async () => {
    replaysShow({ base: 1, transparent: 1, active: 2 });
    await runCli(["attribute", await file("run", 2, "active")]);
    expect(out).toContain("was not recorded: the verdict holds if each replay got the same");
  });

  it("attribute hands device, configuration and mode on, and records its replays nowhere", async () => {
    replaysShow({ base: 1, transparent: 1, active: 1 });
    const run = await file("run", 1, "active");
    await runCli(["attribute", run, "--config", folder, "--device", "vf1"]);
    expect(replayFile.mock.calls[0]).toEqual([
      expect.objectContaining({
        file: run,
        config: folder,
        device: "vf1",
        mode: "base",
        output: undefined,
      }),
    ]);
  });

  it("diff finds the layer in recordings of replays, in whichever order", async () => {
    const files = [
      await file("a", 2, "active"),
      await file("b", 1, "base"),
      await file("t", 2, "transparent"),
    ];
    expect(await runCli(["diff", ...files])).toBe(EXIT.failed);
    expect(out).toContain("Made by: core");
  });

  it("diff knows which file the others repeat, in whichever order", async () => {
    const path = async (name: string, value: number, replay: boolean): Promise<string> => {
      await writeFile(join(folder, name), await fileOf(value, "active", false, replay));
      return join(folder, name);
    };
    const files = [await path("recorded", 1, false), await path("replayed", 2, true)];
    for (const order of [files, files.toReversed()]) {
      out = "";
      await runCli(["diff", ...order, "--json"]);
      expect(JSON.parse(out)).toMatchObject({
        shown: [
          { run: "recorded", shows: "0x01" },
          { run: "active", shows: "0x02" },
        ],
      });
    }
  });

  it("diff refuses replays of two recordings, and says so", async () => {
    await writeFile(join(folder, "r"), await fileOf(1, "base", false, true));
    const two = [await file("a", 1, "active"), await file("b", 1, "transparent")];
    expect(await runCli(["diff", join(folder, "r"), ...two])).toBe(EXIT.usage);
    expect(err).toContain("2 of these files are no replays");
  });

  it("diff cannot tell core from plugin without a transparent run", async () => {
    const files = [await file("a", 2, "active"), await file("b", 1, "base")];
    expect(await runCli(["diff", ...files, "--json"])).toBe(EXIT.failed);
    expect(JSON.parse(out)).toMatchObject({ layer: "core or plugin:unknown" });
  });

  it("diff ends with 2 for one recording, and for one that is not there", async () => {
    const one = await file("a", 1, "active");
    expect(await runCli(["diff", one])).toBe(EXIT.usage);
    expect(err).toContain("diff takes two to four recordings");
    expect(await runCli(["diff", one, join(folder, "none")])).toBe(EXIT.usage);
    expect(err).toContain("ERR_VFMIG_CLI_FILE");
  });

  it("diff ends with 1 for a file that is no recording", async () => {
    const none = join(folder, "noise");
    await writeFile(none, "noise, and more of it than a header has");
    expect(await runCli(["diff", none, none, "--json"])).toBe(EXIT.failed);
    expect(JSON.parse(out)).toMatchObject({ error: { code: "ERR_VFMIG_RECORDING_FORMAT" } });
  });

  it("replay says what it has done and where that is", async () => {
    replaysShow({ base: 3, transparent: 0, active: 0 });
    const run = await file("run", 1, "active");
    const words = ["replay", run, "--mode", "base", "-o", join(folder, "out")];
    expect(await runCli([...words, "--json"])).toBe(EXIT.ok);
    expect(JSON.parse(out)).toEqual({
      schemaVersion: 1,
      mode: "base",
      identity: { device: "vf0", base: { name: "fake", version: "1.0.0" } },
      output: join(folder, "out"),
      events: 1,
      missedInterrupts: 0,
    });
    out = "";
    await runCli(words);
    expect(out).toContain(`1 events in ${join(folder, "out")}, 0 interrupts waited for in vain`);
  });

  it("replay ends with 2 without a place for its recording, and for a mode that nobody knows", async () => {
    const run = await file("run", 1, "active");
    expect(await runCli(["replay", run])).toBe(EXIT.usage);
    expect(await runCli(["replay", run, "-o", run, "--mode", "half"])).toBe(EXIT.usage);
    expect(replayFile).not.toHaveBeenCalled();
    expect((await readFile(run)).length).toBeGreaterThan(0);
  });

  it.each([
    ["demo", []],
    ["serve", ["--mode", "base"]],
  ])("%s says to the host where to record", async (command, more) => {
    openHost.mockRejectedValue(new Error("far enough"));
    await runCli([command, "--config", folder, "--record", join(folder, "run"), ...more]);
    expect(openHost.mock.calls).toEqual([
      [
        expect.objectContaining({
          config: folder,
          record: join(folder, "run"),
          ...(more.length > 0 && { mode: "base" }),
        }),
      ],
    ]);
  });
});
