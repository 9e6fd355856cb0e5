import { spawn, type ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  compose,
  defineSubDriver,
  hasType,
  IRQ_TYPE,
  PCI_IRQ,
  systemClock,
  type Logger,
  type VfioDevice,
} from "@vfmig/core";
import { createLinuxIo } from "@vfmig/linux";
import { afterEach, describe, expect, it } from "vitest";
import { connectVfioUser } from "../client/client.ts";
import { createVfioUserServer } from "../server/server.ts";
import { REGISTER } from "../testing/memory-device.ts";
import base from "./base.ts";

const SERVER = fileURLToPath(new URL("../testing/serve-memory-device.ts", import.meta.url));
const { ERR, REQ } = PCI_IRQ;
const io = createLinuxIo();
const socket = (): string => join(tmpdir(), `vfmig-${randomUUID()}.sock`);

const servers: ChildProcess[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) {
    if (server.exitCode !== null || server.signalCode !== null) continue;
    server.stdin?.end();
    await once(server, "exit");
  }
});

/** Serves a device in a process of its own; the path of its socket. */
async function served(kind: "plain" | "host-events" | "adjustable"): Promise<string> {
  const path = socket();
  const server = spawn(process.execPath, ["--conditions=@vfmig/source", SERVER, path, kind], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  servers.push(server);
  if (server.stdout !== null) await once(server.stdout, "data");
  return path;
}

/** What is served there, as a base. */
async function opened(path: string, told: (line: string) => void = () => {}): Promise<VfioDevice> {
  const nothing = (): void => {};
  const logger: Logger = {
    debug: nothing,
    info: nothing,
    warn: () => told("warned"),
    error: () => told("error"),
  };
  return await base.open({
    device: "vf0",
    options: { path: basename(path), addressBits: 39, connectMs: 1000, accessMs: 5000 },
    logger,
    clock: systemClock,
    folder: dirname(path),
    runtimeFolder: tmpdir(),
    onHostRequest: (count) => told(`wanted ${count}`),
  });
}

/** That base with a plugin which changes layouts and notes what its host wants. */
async function composed(device: VfioDevice, heard: string[]): Promise<VfioDevice> {
  const definition = defineSubDriver({
    name: "listener",
    version: "1.0.0",
    apiVersion: "^1.0.0",
    matches: [{ vendor: 0x1af4, device: 0x1100 }],
    privileges: [],
    capabilities: {},
    attach: () => ({
      regions: [{ index: 0, trapped: [], adjustable: true, read() {}, write() {} }],
      hostRequest: (count) => void heard.push(`plugin ${count}`),
      close: async () => {},
    }),
  });
  return await compose(device, definition);
}

describe("another server's device as a base", () => {
  it("tells this host and the client of its own server what that server's host tells", async () => {
    const lines: string[] = [];
    const heard = Promise.withResolvers<void>();
    const device = await opened(await served("host-events"), (line) => {
      lines.push(line);
      if (lines.length === 5) heard.resolve();
    });
    const path = socket();
    await using _server = createVfioUserServer({ io, device, path });
    await using client = await connectVfioUser({ io, path });
    expect(client.info.irqs.map(({ count }) => count)).toEqual([1, 0, 64, 1, 1]);
    for (const index of [ERR, REQ]) {
      const fd = io.eventfd();
      const events = [{ fd, signal() {} }];
      const data = { kind: "event", events } as const;
      await client.setIrqs({ index, start: 0, count: 1, action: "trigger", data });
      const rung = Promise.withResolvers<void>();
      using watch = io.watch(fd, () => {
        if (io.drainEventfd(fd) > 0) rung.resolve();
      });
      await client.writeRegion(0, REGISTER.TELL, Uint8Array.of(index));
      await rung.promise;
      watch[Symbol.dispose]();
      io.close(fd);
    }
    await client.writeRegion(0, REGISTER.TELL, Uint8Array.of(REQ));
    await heard.promise;
    expect(lines).toEqual(["error", "warned", "wanted 1", "warned", "wanted 2"]);
    await client.close();
    await device[Symbol.asyncDispose]();
  });

  it("has no REQ event where the other has none, and refuses one", async () => {
    await using device = await opened(await served("plain"));
    expect(device.info.irqs.map(({ count }) => count)).toEqual([1, 0, 64, 1, 0]);
    const data = { kind: "event", events: [undefined] } as const;
    expect(() =>
      device.setIrqs({ index: REQ, start: 0, count: 1, action: "trigger", data }),
    ).toThrow(expect.objectContaining({ code: "ERR_VFMIG_IRQ_REQUEST", layer: "base" }));
  });

  it("maps nothing of the other, and so has no event for changes of its layouts", async () => {
    await using device = await opened(await served("adjustable"));
    expect(device.info.regions.every(({ mmap }) => mmap === undefined)).toBe(true);
    expect(device.info.irqs).toHaveLength(5);
    expect(device.info.irqs.some(({ type }) => type?.type === IRQ_TYPE.LAYOUT.type)).toBe(false);
    // A mapping of this base's would be in the way of it.
    await device.migration?.setState("stop-copy");
    expect(device.migration?.state).toBe("stop-copy");
  });

  it("shows a plugin's irq index for changes of layout alone, and lets the plugin hear first", async () => {
    const heard: string[] = [];
    const adjustable = await composed(await opened(await served("adjustable")), heard);
    const layouts = adjustable.info.irqs.filter(({ type }) => hasType(type, IRQ_TYPE.LAYOUT));
    expect(layouts.map(({ index }) => index)).toEqual([5]);
    await adjustable[Symbol.asyncDispose]();

    const told = await composed(await opened(await served("host-events")), heard);
    const rung = Promise.withResolvers<void>();
    const signal = (): void => {
      heard.push("user");
      rung.resolve();
    };
    const data = { kind: "event", events: [{ signal }] } as const;
    told.setIrqs({ index: REQ, start: 0, count: 1, action: "trigger", data });
    told.writeRegion(0, REGISTER.TELL, Uint8Array.of(REQ));
    await rung.promise;
    expect(heard).toEqual(["plugin 1", "user"]);
    await told[Symbol.asyncDispose]();
  });

  it("leaves no descriptor open when it is closed", async () => {
    const path = await served("host-events");
    const open = (): number => readdirSync("/proc/self/fd").length;
    await (await opened(path))[Symbol.asyncDispose]();
    const before = open();
    const device = await opened(path);
    // The connection and two events.
    expect(open()).toBeGreaterThanOrEqual(before + 3);
    await device[Symbol.asyncDispose]();
    expect(open()).toBe(before);
  });
});
