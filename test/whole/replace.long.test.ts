import { execFile } from "node:child_process";
import { mkdtemp, rm, stat, symlink, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { silentLogger, systemClock } from "@vfmig/core";
import { askControl, openControl, openHost, type ControlServer, type Host } from "@vfmig/host";
import { createLinuxIo } from "@vfmig/linux";
import { connectVfioUser } from "@vfmig/vfio-user";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const modules = fileURLToPath(new URL("../../examples/demo/node_modules", import.meta.url));
const cli = fileURLToPath(new URL("../../packages/cli/bin/vfmig.js", import.meta.url));

const device = (name: string, options: object = {}, more: object = {}): object => ({
  name,
  base: {
    package: "@vfmig/testkit/i40e-vf-model",
    options: { mac: "02:00:00:00:00:0a", vsiId: 18, wire: { kind: "none" }, ...options },
  },
  driver: { package: "@vfmig/plugin-i40e" },
  ...more,
});
const standby = { standby: true };

interface Rig extends AsyncDisposable {
  readonly host: Host;
  readonly control: ControlServer;
}

describe("a host with devices that stand by", () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "vfmig-replace-"));
    await symlink(modules, join(folder, "node_modules"));
  });

  afterEach(() => rm(folder, { recursive: true }));

  async function open(...devices: readonly object[]): Promise<Rig> {
    await writeFile(join(folder, "vfmig.config.json"), JSON.stringify({ devices }));
    const host = await openHost({ config: folder, logger: silentLogger, clock: systemClock });
    const control = await openControl(host, join(folder, "control"));
    return {
      host,
      control,
      async [Symbol.asyncDispose]() {
        await control[Symbol.asyncDispose]();
        await host[Symbol.asyncDispose]();
      },
    };
  }

  /** Sends what a client of ours would not; returns status and answer. */
  function raw(
    path: string,
    method: string,
    body?: string,
  ): Promise<{ readonly status: number; readonly answer: unknown }> {
    return new Promise((resolve, reject) => {
      const asked = request({ socketPath: join(folder, "control"), path, method }, (response) => {
        let text = "";
        response.on("data", (part: Buffer) => (text += part.toString()));
        response.on("end", () =>
          resolve({ status: response.statusCode ?? 0, answer: JSON.parse(text) }),
        );
      });
      asked.on("error", reject);
      asked.end(body);
    });
  }

  it("replaces a device to and fro behind one connection, and shows on every surface who is there", async () => {
    await using it = await open(
      device("vf", { vsiId: 18 }),
      device("spare", { vsiId: 525 }, standby),
    );
    const { host, control } = it;
    expect(host.devices.map(({ name }) => name)).toEqual(["vf"]);
    const [vf] = host.devices;
    if (vf === undefined) throw new Error("nothing is served");
    await using client = await connectVfioUser({ io: createLinuxIo(), path: vf.socketPath });
    const command = Uint8Array.of(6, 0);
    client.device.writeRegion(7, 4, command);
    for (const entry of ["spare", "vf", "spare"]) {
      const answer = await askControl(control.path, "POST", "/devices/vf/replace", {
        with: entry,
      });
      expect(answer).toMatchObject({
        name: "vf",
        entry,
        identity: { device: entry, driver: { name: "i40e-vf" } },
        outcome: { phases: {}, stateBytes: expect.any(Number) as number },
      });
      const into = new Uint8Array(2);
      client.device.readRegion(7, 4, into);
      expect(into).toEqual(command);
      expect(vf.identity.device).toBe(entry);
      expect(await askControl(control.path, "GET", "/devices/vf")).toMatchObject({
        entry,
        status: expect.any(Object) as object,
      });
    }
    expect(await askControl(control.path, "GET", "/devices")).toMatchObject({
      devices: [{ name: "vf", entry: "spare", socketPath: vf.socketPath }],
    });
    expect((await stat(control.path)).mode & 0o777).toBe(0o600);
  });

  it("leaves a device where it is when the other cannot take it, and says why", async () => {
    await using it = await open(
      device("vf", { vsiId: 18 }),
      device("other", { vsiId: 19 }),
      device("alone", {}, { ...standby, driver: undefined }),
      device("broken", { noSuchOption: 1 }, standby),
    );
    const { control, host } = it;
    const refusals = [
      ["other", "ERR_VFMIG_HOST_STANDBY"],
      ["vf", "ERR_VFMIG_HOST_STANDBY"],
      ["nobody", "ERR_VFMIG_HOST_STANDBY"],
      ["alone", "ERR_VFMIG_HOST_NO_MIGRATION"],
      ["broken", expect.stringContaining("OPTIONS") as string],
    ] as const;
    for (const [entry, code] of refusals) {
      const path = "/devices/vf/replace";
      const asked = askControl(control.path, "POST", path, { with: entry });
      await expect(asked).rejects.toMatchObject({ code });
    }
    expect(host.devices[0]?.identity.device).toBe("vf");
    expect(await host.devices[0]?.describe()).toMatchObject({ driver: { name: "i40e-vf" } });
  });

  it("answers requests that are none with 400 and more, and an error as JSON", async () => {
    await using it = await open(device("vf"));
    for (const path of [it.control.path, join(folder, "no", "such")]) {
      await expect(openControl(it.host, path)).rejects.toMatchObject({
        code: "ERR_VFMIG_HOST_SOCKET",
      });
    }
    const wrong = [
      ["/", "GET", 404],
      ["/devices/vf/stop", "POST", 404],
      ["/devices/nobody", "GET", 404],
      ["/devices/%zz", "GET", 400],
      ["/devices/vf", "DELETE", 405],
      ["/devices/vf/replace", "GET", 405],
      ["/devices/vf/replace", "POST", 400, "{"],
      ["/devices/vf/replace", "POST", 400, "{}"],
      ["/devices/vf/replace", "POST", 400, '{"with":7}'],
      ["/devices/vf/replace", "POST", 400, '{"with":"a","more":1}'],
      ["/devices/vf/replace", "POST", 413, `"${"x".repeat(70_000)}"`],
      ["/devices/vf/replace", "POST", 409, '{"with":"nobody"}'],
    ] as const;
    for (const [path, method, status, body] of wrong) {
      const got = await raw(path, method, body);
      expect({ path, method, status: got.status }).toEqual({ path, method, status });
      expect(got.answer).toMatchObject({
        schemaVersion: 1,
        error: { code: expect.stringMatching(/^ERR_VFMIG_/) as string, layer: "host" },
      });
    }
  });

  it("is asked by vfmig replace, whose exit code says how it went", async () => {
    await using it = await open(device("vf"), device("spare", { vsiId: 7 }, standby));
    const run = (words: readonly string[]): Promise<{ code: number; out: string; err: string }> =>
      new Promise((resolve) => {
        execFile(process.execPath, [cli, ...words], (error, out, err) =>
          resolve({ code: error === null ? 0 : Number(error.code), out, err }),
        );
      });
    const words = ["replace", "vf", "--with", "spare", "--control", it.control.path];
    const first = await run([...words, "--json"]);
    expect(JSON.parse(first.out)).toMatchObject({ schemaVersion: 1, name: "vf", entry: "spare" });
    expect(first.code).toBe(0);
    const second = await run(words);
    expect(second.code).toBe(5);
    expect(second.err).toContain("ERR_VFMIG_HOST_STANDBY");
    const nobody = await run([...words.slice(0, -1), join(folder, "none")]);
    expect(nobody.err).toContain("vfmig serve --control");
  });
});
