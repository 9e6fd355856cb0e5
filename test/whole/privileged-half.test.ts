import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { silentLogger, systemClock } from "@vfmig/core";
import { openHost } from "@vfmig/host";
import { afterEach, beforeEach, expect, it } from "vitest";

const core = fileURLToPath(new URL("../node_modules/@vfmig/core", import.meta.url));

/** A base whose privileged half opens a file, and whose other half writes to it who it is. */
const BASE = `
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { z } from "zod";
const device = (name) => ({
  info: {
    identity: { device: name, base: { name: "split", version: "1.0.0" } },
    pci: false, resettable: false, regions: [], irqs: [], iovaWindows: [],
  },
  readRegion() {}, writeRegion() {}, setIrqs() {}, mapDma() {}, unmapDma() {},
  async reset() {},
  migration: undefined, dmaLogging: undefined,
  async [Symbol.asyncDispose]() {},
});
export default {
  name: "split",
  version: "1.0.0",
  options: z.object({ file: z.string(), refuse: z.boolean().optional() }),
  async acquire({ device, options, folder }) {
    if (options.refuse) throw new Error("no such device");
    const log = openSync(options.file, "w");
    return { fds: { log }, facts: { host: process.pid, device, folder }, memoryLock: 1n };
  },
  async open({ device: name, grant, onHostRequest }) {
    process.on("SIGUSR2", () => onHostRequest(1));
    const { fds, facts } = grant;
    const text = JSON.stringify({ facts, process: process.pid, fds: Object.keys(fds), fd: fds.log });
    writeSync(fds.log, text);
    closeSync(fds.log);
    return device(name);
  },
};
`;

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vfmig-split-"));
  const base = join(folder, "node_modules/split-base");
  await mkdir(base, { recursive: true });
  await mkdir(join(folder, "node_modules/@vfmig"));
  await symlink(core, join(folder, "node_modules/@vfmig/core"));
  await symlink(join(core, "node_modules/zod"), join(folder, "node_modules/zod"));
  const manifest = { name: "split-base", version: "1.0.0", type: "module", exports: "./index.js" };
  await writeFile(join(base, "package.json"), JSON.stringify(manifest));
  await writeFile(join(base, "index.js"), BASE);
});

afterEach(() => rm(folder, { recursive: true }));

const open = async (...options: readonly object[]) => {
  const devices = options.map((each, i) => ({
    name: `device${i}`,
    base: { package: "split-base", options: each },
  }));
  await writeFile(join(folder, "vfmig.config.json"), JSON.stringify({ devices }));
  return openHost({ config: folder, logger: silentLogger, clock: systemClock });
};

it("opens a base's files in the host, and gives its process the descriptors only", async () => {
  const files = [join(folder, "one"), join(folder, "two")];
  await using host = await open(...files.map((file) => ({ file })));
  for (const [i, file] of files.entries()) {
    // oxlint-disable-next-line no-await-in-loop -- two small files
    const said: unknown = JSON.parse(await readFile(file, "utf8"));
    expect(said).toEqual({
      facts: { host: process.pid, device: `device${i}`, folder },
      process: host.devices[i]?.pid,
      fds: ["log"],
      fd: 4,
    });
  }
});

it("gives a device back that its machine wants, and says so to whoever asks for it then", async () => {
  await using host = await open({ file: join(folder, "one") });
  const [device] = host.devices;
  process.kill(device?.pid ?? 0, "SIGUSR2");
  // An answer that is on its way when the device goes is the same refusal.
  const gone = expect.objectContaining({ code: "ERR_VFMIG_VFIO_GONE", layer: "host" }) as Error;
  await expect(async () => {
    for (;;) await device?.status();
  }).rejects.toThrow(gone);
  await expect(host.replace("device0", "device0")).rejects.toThrow("it is what");
});

it("starts no process for a base whose privileged half refuses, and closes the others", async () => {
  await expect(open({ file: join(folder, "x") }, { file: "y", refuse: true })).rejects.toThrow(
    "no such device",
  );
});
