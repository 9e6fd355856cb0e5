import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  compose,
  silentLogger,
  type SubDriverDefinition,
  systemClock,
  type VfioDevice,
} from "@vfmig/core";
import { createLinuxIo } from "@vfmig/linux";
import { connectVfioUser } from "@vfmig/vfio-user";
import i40eVf from "@vfmig/plugin-i40e";
import { createI40eVfModel, createLoosePort, GuestRam } from "@vfmig/testkit";

import { openHost } from "@vfmig/host";

import { expect, it } from "vitest";

function model(): VfioDevice {
  const { port } = createLoosePort(systemClock);
  return createI40eVfModel({ name: "vf0", mac: "02:00:00:00:00:0a", vsiId: 7, port }).device;
}

/** The layer of whatever is thrown. */
async function layerOf(run: () => unknown): Promise<unknown> {
  try {
    await run();
  } catch (error) {
    return error instanceof Error && "layer" in error ? error.layer : "none";
  }
  return "nothing thrown";
}

/** A socket whose server hangs up at once. */
async function connectToNobody(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "vfmig-layers-"));
  const path = join(folder, "device.sock");
  const server = createServer((socket) => socket.destroy());
  server.listen(path);
  await once(server, "listening");
  try {
    await connectVfioUser({ io: createLinuxIo(), path });
  } finally {
    server.close();
    await rm(folder, { recursive: true });
  }
}

const broken = {
  ...i40eVf,
  attach: () => Promise.reject(new Error("a plugin's own words")),
} as unknown as SubDriverDefinition;

it.each([
  ["base", () => model().readRegion(0, 2 ** 40, new Uint8Array(4))],
  ["plugin:i40e-vf", () => compose(model(), broken, { options: {} })],
  ["core", async () => (await compose(model(), i40eVf)).readRegion(0, 2 ** 40, new Uint8Array(4))],
  ["linux", () => createLinuxIo().close(-1)],
  ["vfio-user", connectToNobody],
  ["core", () => openHost({ config: "/nonexistent", logger: silentLogger, clock: systemClock })],
  ["testkit", () => new GuestRam({ bytes: new Uint8Array(1) })],
])("an error of %s carries its layer", async (layer, run) => {
  expect(await layerOf(run)).toBe(layer);
});

it("names the base where it fails beneath a plugin", async () => {
  const base = model();
  const failing = new Proxy(base, {
    get(target, name) {
      if (name === "readRegion") {
        return () => {
          throw new Error("the hardware is gone");
        };
      }
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? (value as () => void).bind(target) : value;
    },
  });
  expect(await layerOf(() => compose(failing, i40eVf))).toBe("base");
});
