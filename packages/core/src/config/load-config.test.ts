import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { VfmigError } from "../errors/vfmig-error.ts";
import { findConfig, loadConfig } from "./load-config.ts";

let folder: string;

beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), "vfmig-config-")));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const device = { name: "vf0", base: { package: "@vfmig/testkit/i40e-vf-model" } };
const minimal = { devices: [device] };

async function write(name: string, content: unknown): Promise<string> {
  const file = join(folder, name);
  await writeFile(file, typeof content === "string" ? content : JSON.stringify(content));
  return file;
}

async function refusal(path: string): Promise<VfmigError> {
  try {
    await loadConfig(path);
  } catch (error) {
    if (error instanceof VfmigError) return error;
    throw error;
  }
  throw new Error("the configuration was accepted");
}

/** What is refused of a configuration, as `path: message (hint)`. */
async function faults(config: unknown): Promise<string[]> {
  await write("vfmig.config.json", config);
  const error = await refusal(folder);
  expect(error.code).toBe("ERR_VFMIG_CONFIG_INVALID");
  expect(error.message).toContain(join(folder, "vfmig.config.json"));
  return error.message
    .split("\n")
    .slice(1)
    .map((line) => line.trim());
}

describe("a configuration", () => {
  const ts = `
    interface Shape { readonly devices: readonly object[] }
    const config: Shape = ${JSON.stringify(minimal)};
    export default config satisfies Shape;`;

  test.each([
    ["vfmig.config.ts", ts],
    ["vfmig.config.mts", ts],
    ["vfmig.config.js", `export default ${JSON.stringify(minimal)};`],
    ["vfmig.config.json", JSON.stringify(minimal)],
  ])("is found and loaded as %s, by folder and by file", async (name, content) => {
    const file = await write(name, content);
    await write("package.json", { type: "module" });
    const wanted = { file, folder, config: minimal };
    expect(await findConfig(folder)).toBe(file);
    expect(await loadConfig(folder)).toEqual(wanted);
    expect(await loadConfig(file)).toEqual(wanted);
  });

  test("names the variants that are there where one is asked for that is not", async () => {
    await write("vfmig.e810.config.json", minimal);
    await write("vfmig.config.json", minimal);
    await expect(findConfig(folder, "e900")).rejects.toMatchObject({
      code: "ERR_VFMIG_CONFIG_NOT_FOUND",
      message: expect.stringMatching(/"e900".*these are there: e810;.*vfmig\.e900\.config\.ts/u),
    });
  });

  test("may have any name where it is named itself", async () => {
    const file = await write("two-hosts.json", minimal);
    expect((await loadConfig(file)).file).toBe(file);
  });

  test("keeps everything that it may hold, and is frozen", async () => {
    const full = {
      $schema: "./node_modules/@vfmig/core/schema/vfmig.config.schema.json",
      devices: [
        {
          ...device,
          base: { package: "a", options: { x: 1 } },
          driver: {
            package: "@acme/vfmig-plugin",
            options: { deep: [1] },
            integrity: `sha512-${"A".repeat(86)}==`,
          },
          socket: "run/vf0.sock",
        },
        { ...device, name: "vf1" },
      ],
      scenario: { package: "@vfmig/testkit/scenario", options: { frames: 10 } },
    };
    await write("vfmig.config.json", full);
    const { config } = await loadConfig(folder);
    expect(config).toEqual(full);
    expect(Object.isFrozen(config.devices[0]?.driver?.options?.["deep"])).toBe(true);
  });

  test("that is a link has the folder of what it points to, as Node sees it", async () => {
    await mkdir(join(folder, "real"));
    await write("real/vfmig.config.json", minimal);
    await symlink(join(folder, "real", "vfmig.config.json"), join(folder, "linked.json"));
    expect((await loadConfig(join(folder, "linked.json"))).folder).toBe(join(folder, "real"));
  });

  test("is missed in an empty folder, with the names that would do", async () => {
    const error = await refusal(folder);
    expect(error.code).toBe("ERR_VFMIG_CONFIG_NOT_FOUND");
    expect(error.message).toContain("vfmig.config.mts");
    expect((await refusal(join(folder, "nowhere"))).code).toBe("ERR_VFMIG_CONFIG_NOT_FOUND");
  });

  test("is not guessed where a folder holds two", async () => {
    await write("vfmig.config.ts", ts);
    await write("vfmig.config.json", minimal);
    const error = await refusal(folder);
    expect(error.code).toBe("ERR_VFMIG_CONFIG_AMBIGUOUS");
    expect(error.details["names"]).toEqual(["vfmig.config.ts", "vfmig.config.json"]);
  });

  test.each([
    ["broken.json", "{ devices: [] }", "JSON"],
    ["broken.mjs", "export default {", "evaluated"],
    ["throws.mjs", "throw new Error('no lease');", "no lease"],
    ["nothing.mjs", "export const config = {};", "default export"],
    ["imports.mjs", "import 'vfmig-absent-package'; export default {};", "vfmig-absent-package"],
  ])("that cannot be loaded (%s) says which file and why", async (name, content, why) => {
    const file = await write(name, content);
    const error = await refusal(file);
    expect(error.code).toBe("ERR_VFMIG_CONFIG_LOAD");
    expect(error.message).toContain(file);
    expect(error.message).toContain(why);
  });
});

describe("a fault of the configuration", () => {
  test("at the top is named with the nearest known key", async () => {
    expect(await faults({ ...minimal, scenaro: {} })).toEqual([
      'scenaro: unknown key (did you mean "scenario"?)',
    ]);
    expect(await faults({ ...minimal, plugins: [] })).toEqual([
      "plugins: unknown key (known here: $schema, devices, scenario)",
    ]);
  });

  test("deep inside is named by its path", async () => {
    const second = { name: "vf1", base: { package: "a" }, driver: { package: "./plugin" } };
    expect(await faults({ devices: [device, second] })).toEqual([
      expect.stringMatching(
        /^devices\[1\]\.driver\.package: not a package name; paths are not taken/,
      ),
    ]);
    const misspelt = { name: "vf1", base: { package: "a" }, driver: { pakcage: "a" } };
    expect(await faults({ devices: [device, misspelt] })).toEqual([
      "devices[1].driver.package: missing; expected string",
      'devices[1].driver.pakcage: unknown key (did you mean "package"?)',
    ]);
  });

  test.each<[string, unknown, string]>([
    [
      "dirty sources without a driver that joins them",
      { devices: [{ ...device, dirtySources: ["device"] }] },
      "devices[0].dirtySources: the device has no driver (name a driver, or leave dirtySources out: only a device with one joins them)",
    ],
    ["no devices key", {}, "devices: missing; expected array"],
    ["no device", { devices: [] }, "devices: expected at least one device"],
    [
      "a device without base",
      { devices: [{ name: "a" }] },
      "devices[0].base: missing; expected object",
    ],
    [
      "a device without name",
      { devices: [{ base: device.base }] },
      "devices[0].name: missing; expected string",
    ],
    [
      "two devices of one name",
      { devices: [device, { ...device, name: "vf1" }, device] },
      'devices[2].name: "vf0" is already the name of devices[0] (give each device a name of its own)',
    ],
    [
      "two devices on one socket",
      {
        devices: [
          { ...device, socket: "s" },
          { ...device, name: "b", socket: "s" },
        ],
      },
      'devices[1].socket: "s" is already the socket of devices[0] (give each device a socket of its own)',
    ],
    ["no object at all", [], "Invalid input: expected object, received array"],
  ])("such as %s is explained", async (_, config, wanted) => {
    expect(await faults(config)).toEqual([wanted]);
  });

  test.each(["vf 0", "", "-vf", "a/b", "x".repeat(65), "vf0\n"])(
    "in a device name (%j) is refused",
    async (name) => {
      expect(await faults({ devices: [{ ...device, name }] })).toEqual([
        expect.stringMatching(/^devices\[0\]\.name: expected 1 to 64/),
      ]);
    },
  );

  test.each(["sha512-", "sha256-abc", `sha512-${"A".repeat(86)}`, `sha512-${"A".repeat(87)}==`])(
    "in an integrity (%s) is refused",
    async (integrity) => {
      expect(
        await faults({ devices: [{ ...device, driver: { package: "a", integrity } }] }),
      ).toEqual([expect.stringMatching(/^devices\[0\]\.driver\.integrity: not an integrity/)]);
    },
  );

  test("does not quote the options, which may hold secrets", async () => {
    const base = { package: "a", options: "hunter2" };
    expect((await faults({ devices: [{ name: "a", base }] })).join()).not.toContain("hunter2");
  });
});
