import { mkdir, mkdtemp, readdir, readlink, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { silentLogger, systemClock } from "@vfmig/core";
import { openHost, type Host } from "@vfmig/host";
import { createLinuxIo } from "@vfmig/linux";
import { connectVfioUser } from "@vfmig/vfio-user";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const modules = fileURLToPath(new URL("../../examples/demo/node_modules/@vfmig", import.meta.url));

/** A model whose privileged half opens a file, which its device keeps open. */
const BASE = `
import { closeSync, openSync, writeSync } from "node:fs";
import model from "@vfmig/testkit/i40e-vf-model";
import { z } from "zod";
export default {
  name: "split",
  version: "1.0.0",
  options: z.looseObject({ file: z.string() }),
  async acquire({ options }) {
    if (options.refuse) throw new Error("no such file");
    return { fds: { key: openSync(options.file, "w") }, facts: { host: process.pid } };
  },
  async open(context) {
    const { fds, facts } = context.grant;
    writeSync(fds.key, String(facts.host));
    const options = model.options.parse(context.options.model);
    const device = await model.open({ ...context, options });
    const close = device[Symbol.asyncDispose].bind(device);
    device[Symbol.asyncDispose] = async () => {
      await close();
      closeSync(fds.key);
    };
    return device;
  },
};
`;

describe("A standby device whose files the host opens", () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "vfmig-standby-"));
    const base = join(folder, "node_modules/split-model");
    await mkdir(base, { recursive: true });
    await symlink(modules, join(folder, "node_modules/@vfmig"));
    await symlink(join(modules, "core/node_modules/zod"), join(folder, "node_modules/zod"));
    const manifest = {
      name: "split-model",
      version: "1.0.0",
      type: "module",
      exports: "./main.js",
    };
    await writeFile(join(base, "package.json"), JSON.stringify(manifest));
    await writeFile(join(base, "main.js"), BASE);
  });

  afterEach(() => rm(folder, { recursive: true }));

  async function open(...devices: readonly object[]): Promise<Host> {
    await writeFile(join(folder, "vfmig.config.json"), JSON.stringify({ devices }));
    return openHost({ config: folder, logger: silentLogger, clock: systemClock });
  }

  const fileOf = (name: string): string => join(folder, `${name}.key`);

  function device(name: string, vsiId: number, more: object = {}, options: object = {}): object {
    const model = { mac: "02:00:00:00:00:0a", vsiId, wire: { kind: "none" } };
    return {
      name,
      base: { package: "split-model", options: { file: fileOf(name), model, ...options } },
      driver: { package: "@vfmig/plugin-i40e" },
      ...more,
    };
  }

  /** Names of the devices whose files a process has open. */
  async function opened(pid: number | undefined): Promise<readonly string[]> {
    const fds = await readdir(`/proc/${pid}/fd`);
    const links = await Promise.all(
      fds.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => "")),
    );
    return links
      .flatMap((link) => (link.startsWith(folder) ? [link.slice(folder.length + 1)] : []))
      .filter((name) => name.endsWith(".key"))
      .toSorted();
  }

  const standby = { standby: true };

  it("takes the place of a running one, to and fro, with files that nobody else keeps", async () => {
    await using host = await open(device("vf", 18), device("spare", 525, standby));
    const [vf] = host.devices;
    await using client = await connectVfioUser({
      io: createLinuxIo(),
      path: vf?.socketPath ?? "",
    });
    const command = Uint8Array.of(6, 0);
    client.device.writeRegion(7, 4, command);
    for (const entry of ["spare", "vf", "spare"]) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      expect(await host.replace("vf", entry)).toMatchObject({ entry });
      const into = new Uint8Array(2);
      client.device.readRegion(7, 4, into);
      expect(into).toEqual(command);
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      expect(await Promise.all([opened(vf?.pid), opened(process.pid)])).toEqual([
        [`${entry}.key`],
        [],
      ]);
    }
  });

  it("is left where it is, and its files are closed, when these cannot be had or another is first", async () => {
    await using host = await open(
      device("vf", 18),
      device("locked", 19, standby, { refuse: true }),
      device("one", 20, standby),
      device("two", 21, standby),
    );
    const [vf] = host.devices;
    await expect(host.replace("vf", "locked")).rejects.toThrow("no such file");
    expect(vf?.entry).toBe("vf");
    const both = await Promise.allSettled(["one", "two"].map((name) => host.replace("vf", name)));
    const refused = both.filter((each) => each.status === "rejected");
    expect(refused).toMatchObject([{ reason: { code: "ERR_VFMIG_REPLACE_BUSY" } }]);
    expect(await opened(vf?.pid)).toEqual([`${vf?.entry}.key`]);
    expect(await opened(process.pid)).toEqual([]);
  });
});
