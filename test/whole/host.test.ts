import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { silentLogger, systemClock, VfmigError } from "@vfmig/core";
import { openHost, runScenario, type Host } from "@vfmig/host";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const modules = fileURLToPath(new URL("../../examples/demo/node_modules", import.meta.url));

const capture = fileURLToPath(new URL("../../examples/demo/real-traffic.pcap", import.meta.url));

const model = (options: object = {}) => ({
  package: "@vfmig/testkit/i40e-vf-model",
  options: { mac: "00:00:00:00:00:00", vsiId: 18, ...options },
});
const driver = { package: "@vfmig/plugin-i40e" };

describe("a host", () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "vfmig-host-"));
    await symlink(modules, join(folder, "node_modules"));
  });

  afterEach(() => rm(folder, { recursive: true }));

  async function open(...devices: readonly object[]): Promise<Host> {
    await writeFile(join(folder, "vfmig.config.json"), JSON.stringify({ devices }));
    return openHost({ config: folder, logger: silentLogger, clock: systemClock });
  }

  it("reports a device without driver under the name of its base, and says that it cannot be moved", async () => {
    await using host = await open({ name: "alone", base: model() });
    const [device] = host.devices;
    expect(device?.identity).toMatchObject({ device: "alone", base: { name: "model" } });
    expect(device?.identity.driver).toBeUndefined();
    await expect(device?.describe()).rejects.toMatchObject({
      code: "ERR_VFMIG_HOST_NO_MIGRATION",
      message: expect.stringContaining('Device "alone" runs on its base alone (model)') as string,
    });
  });

  it("shows which driver runs, with the hash of its bytes and its privileges", async () => {
    await using host = await open({ name: "vf", base: model(), driver });
    const identity = host.devices[0]?.identity.driver;
    expect(identity).toMatchObject({ name: "i40e-vf", privileges: [] });
    expect(identity?.integrity).toMatch(/^sha512-/);
  });

  it("finds by compare what a target grants less, and the guest goes on at the source", async () => {
    const scenario = {
      package: "@vfmig/testkit/move-scenario",
      options: { capture, guestMac: "02:00:00:00:00:0a", flowControl: true },
    };
    const devices = [
      { name: "source", base: model(), driver },
      { name: "less", base: model({ vsiId: 300, queuePairs: 2, vectors: 3 }), driver },
    ];
    await writeFile(join(folder, "vfmig.config.json"), JSON.stringify({ devices, scenario }));
    await using host = await openHost({ config: folder, logger: silentLogger, clock: systemClock });
    const run = runScenario(host, {
      moves: 1,
      rate: 2000,
      seed: 1,
      signal: new AbortController().signal,
      progress: () => {},
    });
    const refusal: unknown = await run.catch((error: unknown) => error);
    expect(refusal).toMatchObject({
      code: "ERR_VFMIG_TESTKIT_INCOMPATIBLE",
      details: { moves: 0, lost: 0 },
    });
    if (!VfmigError.is(refusal)) throw refusal;
    expect(refusal.message).toMatch(/queue|pairs|vectors/i);
    expect(refusal.details["delivered"]).toBeGreaterThan(1000);
  });

  it("refuses a driver whose bytes are not those that the configuration pins", async () => {
    const integrity = `sha512-${Buffer.alloc(64).toString("base64")}`;
    await expect(
      open({ name: "vf", base: model(), driver: { ...driver, integrity } }),
    ).rejects.toMatchObject({ code: "ERR_VFMIG_PLUGIN_INTEGRITY" });
  });

  it("refuses a base under the driver's name, and options that the base does not take", async () => {
    await expect(
      open({ name: "vf", base: { package: "@vfmig/plugin-i40e" } }),
    ).rejects.toMatchObject({ code: "ERR_VFMIG_HOST_MODULE" });
    await expect(open({ name: "vf", base: model({ vsiID: 1 }) })).rejects.toMatchObject({
      code: "ERR_VFMIG_PLUGIN_OPTIONS_INVALID",
      message: expect.stringContaining("devices[0].base.options") as string,
    });
  });

  it("loses one device, and says so, when that device's process dies", async () => {
    await using host = await open(
      { name: "dies", base: model(), driver },
      { name: "lives", base: model(), driver },
    );
    const [dies, lives] = host.devices;
    process.kill(dies?.pid ?? 0, "SIGKILL");
    await expect(dies?.status()).rejects.toMatchObject({
      code: "ERR_VFMIG_HOST_DEVICE_PROCESS",
      message: expect.stringContaining('"dies" was ended by SIGKILL') as string,
    });
    expect(await lives?.status()).toBeTypeOf("object");
  });
});
