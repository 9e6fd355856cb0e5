import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { PCI_REGION, VfmigError } from "@vfmig/core";
import type { VfioPciDevice } from "@vfmig/vfio-pci-base";
import { openBase, type Place } from "../inside/base-subject.ts";
import { Unsupported, type BedCase } from "../inside/bed-case.ts";
import {
  bind,
  BUS,
  folderOf,
  pfOnVfioPci,
  restoreNic,
  writeSlowly,
  type SlowWrite,
} from "../inside/binding.ts";
import { DEVICES } from "../inside/devices.ts";

const TOKEN = "14d63f20-8445-11ea-8900-1f9ce7d5650d";
const OTHER_TOKEN = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1fff";
const [VF] = DEVICES.vfs;
/** Interrupt throttling of an e1000 (ITR, 82540EM manual 13.4.18): keeps what is written until a reset. */
const ITR = 0xc4;
const COMMAND = 0x04;
const MEMORY = 0x2;

interface Pci extends Place {
  readonly device: { readonly address: string };
}

const at = (address: string, path: Place["path"] = "auto"): Pci => ({ device: { address }, path });

/** Fails unless `run` is refused with `code`, in words that have each of `words`. */
async function refused(
  run: () => Promise<unknown>,
  code: string,
  words: readonly string[],
): Promise<void> {
  await assert.rejects(run, (error) => {
    assert.ok(VfmigError.is(error), String(error));
    assert.equal(error.code, code, error.message);
    for (const word of words) assert.ok(error.message.includes(word), error.message);
    return true;
  });
}

/** Opens what is to be refused, and closes it should it not be. */
async function openAndClose(place: Place, vfToken?: string): Promise<void> {
  const device = await openBase(place, vfToken === undefined ? {} : { vfToken });
  await device[Symbol.asyncDispose]();
}

function readRegister(device: VfioPciDevice, offset: number): number {
  const bytes = new Uint8Array(4);
  device.readRegion(PCI_REGION.BAR0, offset, bytes);
  return new DataView(bytes.buffer).getUint32(0, true);
}

function writeRegister(device: VfioPciDevice, offset: number, value: number): void {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  device.writeRegion(PCI_REGION.BAR0, offset, bytes);
}

function enableMemory(device: VfioPciDevice): void {
  device.writeRegion(PCI_REGION.CONFIG, COMMAND, Uint8Array.of(MEMORY, 0));
}

/** Opens a device, lets `begin` take it away, and expects that it is asked for and waited for. */
async function takenAway(place: Pci, begin: () => SlowWrite): Promise<void> {
  const asked = Promise.withResolvers<number>();
  const device = await openBase(place, {}, { onRequest: (count) => asked.resolve(count) });
  const taking = begin();
  try {
    await Promise.race([asked.promise, taking.ended.then(() => assert.fail("nobody was asked"))]);
    assert.equal(taking.done, false, "the kernel did not wait");
    assert.ok(device.events.requests >= 1);
    const vendor = new Uint8Array(2);
    device.readRegion(PCI_REGION.CONFIG, 0, vendor);
    assert.deepEqual([...vendor], [0x86, 0x80], "the device answers until it is closed");
  } finally {
    await device[Symbol.asyncDispose]();
    await taking.ended;
  }
  const { address } = place.device;
  await refused(() => openAndClose(place), "ERR_VFMIG_VFIO_ADDRESS", [address]);
}

export const cases: readonly BedCase[] = [
  {
    name: "of two functions behind one bridge one is open at a time, and a reset of their bus resets both",
    async run() {
      const [mine, neighbour] = DEVICES.sameGroup;
      for (const each of DEVICES.sameGroup) bind(each, "vfio-pci");
      try {
        await using device = await openBase(at(mine));
        await refused(() => openAndClose(at(neighbour)), "ERR_VFMIG_VFIO_BUSY", [
          `also holds`,
          mine,
          "one can be open at a time",
        ]);
        const { devices } = device.hotResetInfo();
        assert.deepEqual(devices.map(({ address }) => address).toSorted(), [mine, neighbour]);
        enableMemory(device);
        for (const reset of [() => device.hotReset(), () => device.reset()]) {
          writeRegister(device, ITR, 0x1234);
          assert.equal(readRegister(device, ITR), 0x1234);
          await reset();
          assert.equal(readRegister(device, ITR), 0);
        }
      } finally {
        for (const each of DEVICES.sameGroup) bind(each, "e1000");
      }
    },
  },
  {
    name: "the bus of a VF is not reset, since its PF is the host's, which is named",
    async run() {
      await using device = await openBase(at(VF));
      await refused(() => device.hotReset(), "ERR_VFMIG_DEVICE_RESET", [DEVICES.pf]);
    },
  },
  {
    name: "a VF whose PF is on vfio-pci too is opened with the token that the PF's owner chose, and no other",
    async run() {
      using _nic = pfOnVfioPci();
      await using pf = await openBase(at(DEVICES.pf, "group"));
      pf.setVfToken(TOKEN);
      const place = at(VF, "group");
      const code = "ERR_VFMIG_VFIO_TOKEN";
      await refused(() => openAndClose(place), code, [VF, "none was given", "vfToken"]);
      await refused(() => openAndClose(place, OTHER_TOKEN), code, [VF, "is not that of its PF"]);
      await using vf = await openBase(place, { vfToken: TOKEN });
      assert.equal(vf.info.identity.pci?.device, 0x10ca);
    },
  },
  {
    name: "a kernel without tokens by iommufd says so, and which way has them",
    async run() {
      if (!existsSync("/dev/iommu")) throw new Unsupported("this kernel has no iommufd");
      using _nic = pfOnVfioPci();
      await refused(() => openAndClose(at(VF, "iommufd"), TOKEN), "ERR_VFMIG_VFIO_TOKEN", [
        "6.17",
        '"group"',
      ]);
    },
  },
  {
    name: "a function that is removed while it is open is asked for, goes once it is closed, and is not there then",
    limitSeconds: 60,
    async run() {
      const [mine] = DEVICES.sameGroup;
      for (const each of DEVICES.sameGroup) bind(each, "vfio-pci");
      try {
        await takenAway(at(mine), () => writeSlowly(`${folderOf(mine)}/remove`, "1"));
      } finally {
        writeFileSync(`${BUS}/rescan`, "1");
        for (const each of DEVICES.sameGroup) bind(each, "e1000");
      }
    },
  },
  {
    name: "VFs that their PF takes back while one is open are asked for, and go once it is closed",
    limitSeconds: 60,
    async run() {
      try {
        await takenAway(at(VF), () => writeSlowly(`${folderOf(DEVICES.pf)}/sriov_numvfs`, "0"));
      } finally {
        restoreNic();
      }
      await openAndClose(at(VF));
    },
  },
];
