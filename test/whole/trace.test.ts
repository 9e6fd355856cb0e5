import { mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { silentLogger, systemClock } from "@vfmig/core";
import { openHost } from "@vfmig/host";
import { createLinuxIo } from "@vfmig/linux";
import { connectVfioUser } from "@vfmig/vfio-user";
import { expect, it } from "vitest";

const modules = fileURLToPath(new URL("../../examples/demo/node_modules", import.meta.url));

it("a host writes the messages of each device into a file of its own", async () => {
  const folder = await mkdtemp(join(tmpdir(), "vfmig-trace-"));
  try {
    await symlink(modules, join(folder, "node_modules"));
    const options = { mac: "02:00:00:00:00:0a", vsiId: 18 };
    const base = { package: "@vfmig/testkit/i40e-vf-model", options };
    const devices = [
      { name: "one", base },
      { name: "two", base },
    ];
    await writeFile(join(folder, "vfmig.config.json"), JSON.stringify({ devices }));
    const hostOptions = { config: folder, logger: silentLogger, clock: systemClock };
    {
      await using host = await openHost({ ...hostOptions, trace: join(folder, "trace") });
      const path = host.devices[1]?.socketPath ?? "";
      await using client = await connectVfioUser({ io: createLinuxIo(), path });
      await client.readRegion(7, 0, new Uint8Array(4));
    }
    expect(await readFile(join(folder, "trace.one"), "utf8")).toBe("");
    const lines = (await readFile(join(folder, "trace.two"), "utf8")).split("\n");
    expect(lines[0]).toMatch(/^ +0\.0\d+ > VERSION major=0 minor=1 caps=.* {2}=> {2}major=0/);
    expect(lines.find((line) => line.includes("RD  CONFIG+0x0 4"))).toMatch(/ 86804c15$/);
  } finally {
    await rm(folder, { recursive: true });
  }
});
