import assert from "node:assert/strict";
import { mock } from "node:test";
import { runCli } from "@vfmig/cli";
import type { ListedDevice } from "@vfmig/host";
import { openBase } from "../inside/base-subject.ts";
import type { BedCase } from "../inside/bed-case.ts";
import { driverOf } from "../inside/binding.ts";
import { DEVICES } from "../inside/devices.ts";

interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** A command line, in this process: to start another one takes many seconds in the guest. */
async function vfmig(...words: readonly string[]): Promise<Said> {
  const said = { out: "", err: "" };
  const streams = [
    mock.method(process.stdout, "write", (text: string) => (said.out += text) !== ""),
    mock.method(process.stderr, "write", (text: string) => (said.err += text) !== ""),
  ];
  try {
    return { code: await runCli(words), ...said };
  } finally {
    for (const stream of streams) stream.mock.restore();
  }
}

/** Fails with all that was said unless the exit code is `code`, and each text is in its place. */
function expectSaid(
  said: Said,
  code: number,
  out: readonly string[],
  err: readonly string[],
): void {
  const told = JSON.stringify(said, null, 2);
  assert.equal(said.code, code, told);
  for (const text of out) assert.ok(said.out.includes(text), `no "${text}" in ${told}`);
  for (const text of err) assert.ok(said.err.includes(text), `no "${text}" in ${told}`);
}

function expectLine(said: Said, address: string, columns: readonly string[]): void {
  const line = said.out.split("\n").find((each) => each.trim().startsWith(address)) ?? "";
  const told = line.trim().split(/ {2,}/u);
  assert.deepEqual(told.slice(0, columns.length), columns, said.out);
}

const [VF] = DEVICES.vfs;
const [MINE, NEIGHBOUR] = DEVICES.sameGroup;

export const cases: readonly BedCase[] = [
  {
    name: "vfmig devices lists PF, VFs and neighbours, with groups and how each can be opened",
    limitSeconds: 120,
    async run() {
      const people = await vfmig("devices");
      expectSaid(people, 0, [`${NEIGHBOUR} (e1000)`], []);
      const json = await vfmig("devices", "--json", "--all");
      expectSaid(json, 0, [], []);
      const listed = JSON.parse(json.out) as {
        readonly schemaVersion: number;
        readonly devices: readonly ListedDevice[];
      };
      assert.equal(listed.schemaVersion, 1);
      const at = (address: string): ListedDevice => {
        const found = listed.devices.find((each) => each.address === address);
        assert.ok(found, `${address} is not listed`);
        return found;
      };
      const [pf, vf, without] = [at(DEVICES.pf), at(VF), at(DEVICES.withoutGroup)];
      assert.deepEqual(pf.sriov, { pf: null, vfs: [...DEVICES.vfs], total: 7 });
      assert.deepEqual([vf.sriov.pf, vf.driver, vf.vfio.bound], [DEVICES.pf, "vfio-pci", true]);
      assert.ok(vf.resetMethods.includes("flr"), vf.resetMethods.join());
      assert.deepEqual([without.group, without.driver], [null, "e1000e"]);
      const openBy = (device: ListedDevice): string => device.vfio.paths.join(", ") || "not bound";
      const [role, group] = ["PF, 2 of 7 VFs", `group ${pf.group}`];
      expectLine(people, DEVICES.pf, [DEVICES.pf, "8086:10c9", role, "igb", group, "not bound"]);
      const vfRow = [VF, "8086:10ca", `VF of ${DEVICES.pf}`, "vfio-pci", `group ${vf.group}`];
      expectLine(people, VF, [...vfRow, openBy(vf)]);
      assert.ok(openBy(vf).includes("group"), openBy(vf));
    },
  },
  {
    name: "vfmig bind and unbind give two neighbours away and back, and say when that is not enough yet",
    limitSeconds: 120,
    async run() {
      try {
        const first = await vfmig("bind", MINE);
        expectSaid(first, 1, [`${MINE}: e1000 -> vfio-pci`], [`${NEIGHBOUR} (e1000)`]);
        const second = await vfmig("bind", NEIGHBOUR, "--json");
        expectSaid(second, 0, ['"schemaVersion":1', '"blockedBy":[]'], []);
        assert.deepEqual([driverOf(MINE), driverOf(NEIGHBOUR)], ["vfio-pci", "vfio-pci"]);
      } finally {
        for (const address of DEVICES.sameGroup) {
          expectSaid(await vfmig("unbind", address), 0, [`${address}: vfio-pci -> e1000`], []);
        }
      }
      assert.deepEqual([driverOf(MINE), driverOf(NEIGHBOUR)], ["e1000", "e1000"]);
    },
  },
  {
    name: "vfmig says what is wrong, what to do, and whose move it is: a device that is open, in no group, or none",
    limitSeconds: 120,
    async run() {
      await using _open = await openBase({ device: { address: VF }, path: "auto" });
      const busy = await vfmig("unbind", VF);
      expectSaid(busy, 4, [], ["ERR_VFMIG_VFIO_BUSY", `process ${process.pid} (`, "Close"]);
      const without = await vfmig("bind", DEVICES.withoutGroup, "--json");
      expectSaid(without, 4, ["ERR_VFMIG_VFIO_NO_IOMMU_GROUP"], ["intel_iommu=on"]);
      expectSaid(await vfmig("bind", "eth0"), 2, [], ["ERR_VFMIG_VFIO_ADDRESS", "eth0"]);
      const unknown = await vfmig("bind", MINE, "--driver", "mlx5_vfio_pci");
      expectSaid(unknown, 4, [], ["ERR_VFMIG_VFIO_BIND", "modprobe mlx5_vfio_pci"]);
      assert.equal(driverOf(MINE), "e1000");
    },
  },
];
