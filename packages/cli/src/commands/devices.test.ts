import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { runCli } from "../program.ts";

const PF = "0000:01:00.0";
const VF = "0000:01:10.0";

describe("vfmig devices, bind and unbind", () => {
  let folder: string;
  let roots: string[];
  let out: string;
  let err: string;

  async function addFunction(address: string, driver: string, group: number): Promise<string> {
    const device = join(folder, "sys/bus/pci/devices", address);
    const drivers = join(folder, "sys/bus/pci/drivers", driver);
    const members = join(folder, "sys/groups", String(group), "devices");
    await mkdir(device, { recursive: true });
    await mkdir(drivers, { recursive: true });
    await mkdir(members, { recursive: true });
    await writeFile(join(device, "vendor"), "0x8086\n");
    await writeFile(join(device, "device"), "0x10ca\n");
    await writeFile(join(device, "class"), "0x020000\n");
    await writeFile(join(device, "driver_override"), "(null)\n");
    await symlink(drivers, join(device, "driver"));
    await symlink(join(members, ".."), join(device, "iommu_group"));
    await symlink(device, join(members, address));
    return device;
  }

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "vfmig-cli-"));
    roots = ["--sysfs", join(folder, "sys"), "--dev", join(folder, "dev")];
    roots.push("--records", join(folder, "run"));
    out = "";
    err = "";
    vi.spyOn(process.stdout, "write").mockImplementation((text) => {
      out += String(text);
      return true;
    });
    vi.spyOn(process.stderr, "write").mockImplementation((text) => {
      err += String(text);
      return true;
    });
    const pf = await addFunction(PF, "igb", 6);
    const vf = await addFunction(VF, "igbvf", 7);
    await writeFile(join(pf, "sriov_totalvfs"), "7\n");
    await symlink(vf, join(pf, "virtfn0"));
    await symlink(pf, join(vf, "physfn"));
  });

  afterEach(async () => {
    vi.restoreAllMocks();
    await rm(folder, { recursive: true });
  });

  it("lists groups, drivers, PF and VFs for people", async () => {
    expect(await runCli(["devices", ...roots])).toBe(0);
    expect(out).toMatch(/0000:01:00\.0 +8086:10ca +PF, 1 of 7 VFs +igb +group 6 +not bound/);
    expect(out).toMatch(/0000:01:10\.0 +8086:10ca +VF of 0000:01:00\.0 +igbvf +group 7/);
  });

  it("lists them for programs", async () => {
    expect(await runCli(["devices", "--json", ...roots])).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      schemaVersion: 1,
      devices: [
        { address: PF, sriov: { vfs: [VF], total: 7 } },
        { address: VF, group: "7", sriov: { pf: PF }, vfio: { bound: false } },
      ],
    });
  });

  it("leaves out what is no network function, and says so", async () => {
    const other = await addFunction("0000:00:1f.2", "ahci", 3);
    await writeFile(join(other, "class"), "0x010601\n");
    expect(await runCli(["devices", ...roots])).toBe(0);
    expect(out).not.toContain("0000:00:1f.2");
    expect(out).toContain("1 other functions are not shown; --all shows them.");
    expect(await runCli(["devices", "--all", ...roots])).toBe(0);
    expect(out).toContain("0000:00:1f.2");
  });

  it("ends with 2 for what is no address, or that of no device", async () => {
    expect(await runCli(["bind", "eth0", ...roots])).toBe(2);
    expect(await runCli(["bind", "0000:09:00.0", "--json", ...roots])).toBe(2);
    expect(err).toContain("ERR_VFMIG_VFIO_ADDRESS");
  });

  it("names the driver to load, ends with 4, and leaves the device alone", async () => {
    expect(await runCli(["bind", VF, ...roots])).toBe(4);
    expect(err).toContain("modprobe vfio-pci");
    const override = join(folder, "sys/bus/pci/devices", VF, "driver_override");
    expect((await readFile(override, "utf8")).trim()).toMatch(/^(\(null\))?$/);
  });

  it("says where nothing had to be done", async () => {
    expect(await runCli(["unbind", VF, ...roots])).toBe(0);
    expect(out).toContain("igbvf has it already; nothing was changed");
    expect(await runCli(["bind", VF, "--driver", "igbvf", "--json", ...roots])).toBe(0);
    expect(out).toContain('"changed":false');
  });

  it("has examples in its help", async () => {
    expect(await runCli(["bind", "--help"])).toBe(0);
    expect(out).toContain("vfmig bind 0000:3b:02.0");
  });
});
