import { spawn, type ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { IRQ_TYPE, PCI_IRQ, systemClock, type Logger, type VfioDevice } from "@vfmig/core";
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
