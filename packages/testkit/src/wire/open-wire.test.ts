import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseOptions, silentLogger, systemClock } from "@vfmig/core";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { openDeviceWire } from "./open-wire.ts";
import type { WirePort } from "./port.ts";
import { listenSwitch } from "./switch/listen-switch.ts";
import { frameOf } from "./testing/frames.ts";
import { type DeviceWireOptions, deviceWireOptions, withWire } from "./wire-options.ts";

let folder = "";
let runtimeFolder = "";
const ports: WirePort[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "wires-"));
  runtimeFolder = join(folder, "run");
  mkdirSync(runtimeFolder);
});

afterEach(() => {
  for (const port of ports.splice(0)) port.close();
  rmSync(folder, { recursive: true, force: true });
});

async function open(wire: DeviceWireOptions): Promise<WirePort> {
  const port = await openDeviceWire(deviceWireOptions.parse(wire), {
    device: "vf0",
    logger: silentLogger,
    clock: systemClock,
    folder,
    runtimeFolder,
  });
  ports.push(port);
  return port;
}

async function arrives(port: WirePort, cause: () => void): Promise<number[]> {
  const { promise, resolve } = Promise.withResolvers<number[]>();
  port.attach((frame) => {
    resolve([...frame]);
    return "accepted";
  });
  cause();
  return await promise;
}

describe("the wire that a configuration names", () => {
  test("is by default the scenario's, in the run's folder", async () => {
    await open({ kind: "scenario" });
    expect(statSync(join(runtimeFolder, "vf0.wire")).isSocket()).toBe(true);
  });

  test("joins two devices by datagrams, with paths from the configuration's folder", async () => {
    const a = await open({ kind: "dgram", local: "a.sock", remote: "b.sock" });
    const b = await open({ kind: "dgram", local: join(folder, "b.sock"), remote: "a.sock" });
    expect(statSync(join(folder, "a.sock")).isSocket()).toBe(true);
    const frame = frameOf(2, 1, 5);
    expect(await arrives(b, () => a.transmit(frame))).toEqual([...frame]);
  });

  test("plays a capture, and records, with paths from the configuration's folder", async () => {
    const frame = frameOf(2, 1, 6);
    const words = [0xa1b2c3d4, 0x0004_0002, 0, 0, 65_535, 1, 0, 0, frame.length, frame.length];
    const header = new Uint8Array(Uint32Array.from(words).buffer);
    writeFileSync(join(folder, "in.pcap"), Buffer.concat([header, frame]));
    const port = await open({ kind: "pcap", file: "in.pcap", record: "out.pcap" });
    expect(await arrives(port, () => undefined)).toEqual([...frame]);
    expect(statSync(join(folder, "out.pcap")).isFile()).toBe(true);
  });

  test("joins a switch at a path from the configuration's folder", async () => {
    const joined = Promise.withResolvers<undefined>();
    const server = await listenSwitch(join(folder, "switch"), {
      onEvent: ({ type }) => {
        if (type === "joined") joined.resolve(undefined);
      },
    });
    const port = await open({ kind: "switch", path: "switch" });
    await joined.promise;
    const other = server.ethernet.port("other");
    const frame = frameOf(2, 1, 7);
    expect(await arrives(port, () => other.transmit(frame))).toEqual([...frame]);
    port.close();
    await server[Symbol.asyncDispose]();
  });

  test("may lead nowhere", async () => {
    const port = await open({ kind: "none" });
    port.attach(() => "accepted");
    port.transmit(frameOf(2, 1));
  });
});

describe("the options of a model with a wire", () => {
  const model = withWire(
    z.strictObject({ mac: z.string(), pairs: z.int().default(4) }).transform((all) => all),
  );

  test("are those of the model, and the scenario's wire by default", () => {
    expect(model.parse({ mac: "m" })).toEqual({ mac: "m", pairs: 4, wire: { kind: "scenario" } });
  });

  test("tell what is wrong with either part, and where", () => {
    const told = (options: unknown): unknown => {
      try {
        return parseOptions({ name: "model", options: model }, options, "base.options");
      } catch (error) {
        return error instanceof Error ? error.message : error;
      }
    };
    expect(told({ mac: 1, wire: { kind: "none" } })).toMatch(/base\.options\.mac: .*string/u);
    expect(told({ mac: "m", hat: 1 })).toMatch(/base\.options\.hat: unknown key/u);
    expect(told({ mac: "m", wire: { kind: "dgram", local: "a" } })).toMatch(
      /base\.options\.wire\.remote: missing/u,
    );
  });

  test.each([
    { kind: "wet string" },
    { kind: "none", path: "a" },
    { kind: "dgram", local: "", remote: "b" },
    { kind: "tap" },
    { kind: "tap", name: "sixteen-bytes-xx" },
    { kind: "pcap", file: "a", rate: 0 },
    { kind: "pcap", file: "a", rate: 1e8 },
    { kind: "switch" },
  ])("refuse the wire %j", (wire) => {
    expect(model.safeParse({ mac: "m", wire }).success).toBe(false);
  });
});
