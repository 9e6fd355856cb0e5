import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { installProject, type InstalledProject } from "./installed-project.ts";

const PASS_THROUGH = `
import { defineSubDriver } from "@vfmig/core";

export default defineSubDriver({
  name: "someones-pass-through",
  version: "3.2.1",
  apiVersion: "^1.0.0",
  matches: [{ vendor: 0x8086, device: 0x154c }],
  privileges: [],
  capabilities: {},
  attach() {
    return { async close() {} };
  },
});
`;

const config = (driver: string): string => `
import demo from "./demo.config.json" with { type: "json" };
export default {
  ...demo,
  devices: demo.devices.map((device) => ({ ...device, driver: ${driver} })),
};
`;

const DEVICE = (name: string, vsiId: number, mac: string) => ({
  name,
  base: { package: "@vfmig/testkit/i40e-vf-model", options: { mac, vsiId } },
});

const DEMO = {
  devices: [DEVICE("one", 10, "00:00:00:00:00:00"), DEVICE("two", 77, "00:00:00:00:00:00")],
  scenario: {
    package: "@vfmig/testkit/move-scenario",
    options: { capture: "real-traffic.pcap", guestMac: "02:00:00:00:00:0a", flowControl: true },
  },
};

interface Printed {
  readonly moves: number;
  readonly driver: { readonly name: string; readonly version: string; readonly integrity: string };
  readonly frames: Readonly<Record<string, number>>;
}

describe("the packed packages, installed into somebody else's npm project", () => {
  let project: InstalledProject;

  beforeAll(async () => {
    project = await installProject([{ name: "vfmig-plugin-pass-through", source: PASS_THROUGH }]);
    await project.write("demo.config.json", JSON.stringify(DEMO));
  }, 600_000);

  afterAll(() => project[Symbol.asyncDispose]());

  it("run traffic through a third party's pass-through plugin that the configuration selects", async () => {
    await project.write("pass.config.mjs", config(`{ package: "vfmig-plugin-pass-through" }`));
    await project.write("vfmig.config.js", `export { default } from "./pass.config.mjs";\n`);
    const { code, stdout, stderr } = await project.vfmig(
      "demo",
      "--json",
      "--repeat",
      "0",
      "--rate",
      "2000",
    );
    expect(stderr).toBe("");
    const printed = JSON.parse(stdout) as Printed;
    expect(printed.driver).toMatchObject({ name: "someones-pass-through", version: "3.2.1" });
    expect(printed.driver.integrity).toMatch(/^sha512-/);
    expect(printed.frames["toGuest"]).toBeGreaterThan(1000);
    expect(printed.frames).toMatchObject({ lost: 0, duplicated: 0, reordered: 0, corrupted: 0 });
    expect(code).toBe(0);
  });

  it("refuse to move a device whose plugin gives no migration, and name the plugin", async () => {
    await project.write("vfmig.config.js", config(`{ package: "vfmig-plugin-pass-through" }`));
    const { code, stdout } = await project.vfmig("demo", "--json");
    const { error } = JSON.parse(stdout) as { error: { code: string; message: string } };
    expect(error.code).toBe("ERR_VFMIG_HOST_NO_MIGRATION");
    expect(error.message).toContain("someones-pass-through");
    expect(code).toBe(5);
  });

  it("move a device with the plugin that the configuration names", async () => {
    await project.write("vfmig.config.js", config(`{ package: "@vfmig/plugin-i40e" }`));
    const { code, stdout } = await project.vfmig(
      "demo",
      "--json",
      "--repeat",
      "4",
      "--rate",
      "2000",
    );
    const printed = JSON.parse(stdout) as Printed;
    expect(printed.driver.name).toBe("i40e-vf");
    expect(printed.moves).toBe(4);
    expect(printed.frames).toMatchObject({ lost: 0, duplicated: 0, reordered: 0, corrupted: 0 });
    expect(code).toBe(0);
  });

  it("refuse a plugin of which one byte differs from what the configuration pins", async () => {
    const { stdout } = await project.vfmig("plugin", "integrity", "vfmig-plugin-pass-through");
    const integrity = stdout.trim();
    await project.write(
      "vfmig.config.js",
      config(`{ package: "vfmig-plugin-pass-through", integrity: "${integrity}" }`),
    );
    expect((await project.vfmig("demo", "--json", "--repeat", "0", "--rate", "2000")).code).toBe(0);
    await project.write(
      "node_modules/vfmig-plugin-pass-through/index.js",
      PASS_THROUGH.replace("3.2.1", "3.2.2"),
    );
    const refused = await project.vfmig("demo", "--json", "--repeat", "0", "--rate", "2000");
    const { error } = JSON.parse(refused.stdout) as { error: { code: string } };
    expect(error.code).toBe("ERR_VFMIG_PLUGIN_INTEGRITY");
    expect(refused.code).toBe(3);
  });
});
