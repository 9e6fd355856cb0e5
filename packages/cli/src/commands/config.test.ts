import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { EXIT } from "../exit-codes.ts";
import { runCli } from "../program.ts";

const BASE = `export default { name: "card", version: "1.0.0", async open() {} };`;

describe("vfmig config check", () => {
  let folder: string;
  let out: string;
  let err: string;

  async function addPackage(name: string, code: string): Promise<void> {
    const at = join(folder, "node_modules", name);
    await mkdir(at, { recursive: true });
    const manifest = { name, version: "1.2.3", type: "module", exports: "./index.js" };
    await writeFile(join(at, "package.json"), JSON.stringify(manifest));
    await writeFile(join(at, "index.js"), code);
  }

  async function configure(driver: object): Promise<void> {
    const devices = [{ name: "vf0", base: { package: "card" }, driver }];
    await writeFile(join(folder, "vfmig.config.json"), JSON.stringify({ devices }));
  }

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "vfmig-check-"));
    await addPackage("card", BASE);
    await addPackage("throws", `throw new Error("no chip");`);
    [out, err] = ["", ""];
    vi.spyOn(process.stdout, "write").mockImplementation((text) => ((out += String(text)), true));
    vi.spyOn(process.stderr, "write").mockImplementation((text) => ((err += String(text)), true));
  });

  afterEach(async () => {
    vi.restoreAllMocks();
    await rm(folder, { recursive: true });
  });

  it("imports nothing, and says so and how it would", async () => {
    await configure({ package: "throws" });
    expect(await runCli(["config", "check", folder])).toBe(EXIT.ok);
    expect(out).toMatch(/vf0 +card 1\.2\.3 +throws 1\.2\.3 +not pinned/);
    expect(err).toContain("--import");
  });

  it("compares the bytes of what is pinned", async () => {
    await configure({ package: "throws" });
    expect(await runCli(["config", "check", folder, "--json"])).toBe(EXIT.ok);
    const { devices } = JSON.parse(out) as { devices: { driver: { integrity: string } }[] };
    await configure({ package: "throws", integrity: devices[0]?.driver.integrity });
    expect(await runCli(["config", "check", folder])).toBe(EXIT.ok);
    expect(out).toContain("as pinned");
    await addPackage("throws", `throw new Error("another chip");`);
    expect(await runCli(["config", "check", folder])).toBe(EXIT.configuration);
    expect(err).toContain("ERR_VFMIG_PLUGIN_INTEGRITY");
  });

  it.each([
    ["throws", `throw new Error("no chip");`, "failed while it was evaluated: no chip"],
    ["is a base", BASE, 'exports a base (card), and no driver. Name it under "base"'],
    ["is no plugin", "export default {};", "ERR_VFMIG_PLUGIN_MANIFEST"],
  ])("says with --import that a driver's package %s", async (what, code, says) => {
    const name = what.replaceAll(" ", "-");
    await addPackage(name, code);
    await configure({ package: name });
    expect(await runCli(["config", "check", folder, "--import"])).toBe(EXIT.configuration);
    expect(err).toContain(says);
  });

  it("says with --import what each package calls itself, and does not import what would not run", async () => {
    await configure({ package: "throws", mode: "base" });
    expect(await runCli(["config", "check", folder, "--import", "--json"])).toBe(EXIT.ok);
    expect(JSON.parse(out)).toMatchObject({
      devices: [{ imported: { name: "vf0", base: { name: "card", version: "1.0.0" } } }],
    });
  });
});
