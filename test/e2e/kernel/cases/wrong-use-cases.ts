import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readlinkSync } from "node:fs";
import { basename } from "node:path";
import { VfmigError } from "@vfmig/core";
import { bindDevice, unbindDevice, type VfioPciDevice } from "@vfmig/vfio-pci-base";
import { openBase, type Place } from "../inside/base-subject.ts";
import { bind, BUS, driverOf, writeSlowly } from "../inside/binding.ts";
import type { BedCase } from "../inside/bed-case.ts";
import { DEVICES } from "../inside/devices.ts";

const RECORDS = "/tmp/bind-records";
const at = (address: string): Place => ({ device: { address }, path: "auto" });

/** Fails unless opening is refused with `code`, in words that have each of `words`; returns what was told. */
async function refused(place: Place, code: string, words: readonly string[]): Promise<string> {
  let device: VfioPciDevice;
  try {
    device = await openBase(place);
  } catch (error) {
    assert.ok(VfmigError.is(error), String(error));
    assert.equal(error.code, code, error.message);
    for (const word of words) assert.ok(error.message.includes(word), error.message);
    return error.message;
  }
  await device[Symbol.asyncDispose]();
  assert.fail(`nothing was refused; expected ${code}`);
}

export const cases: readonly BedCase[] = [
  {
    name: "a device that another process has open is refused, and that process is named",
    async run() {
      const group = basename(readlinkSync(`${BUS}/devices/${DEVICES.vfs[1]}/iommu_group`));
      const holder = spawn("sh", ["-c", `exec 9<>/dev/vfio/${group}; echo open; cat`], {
        stdio: ["pipe", "pipe", "inherit"],
      });
      try {
        await once(holder.stdout, "data");
        const place: Place = { device: { address: DEVICES.vfs[1] }, path: "group" };
        await refused(place, "ERR_VFMIG_VFIO_BUSY", [DEVICES.vfs[1], `process ${holder.pid} (`]);
      } finally {
        const gone = once(holder, "exit");
        holder.stdin.end();
        await gone;
      }
      // What it had is free again.
      await using device = await openBase(at(DEVICES.vfs[1]));
      assert.equal(device.info.identity.pci?.device, 0x10ca);
    },
  },
  {
    name: "a device in no IOMMU group cannot be bound, with how to have groups, and keeps its driver",
    run() {
      const address = DEVICES.withoutGroup;
      assert.throws(
        () => bindDevice(address, { records: RECORDS }),
        (error) => {
          assert.ok(VfmigError.is(error), String(error));
          assert.equal(error.code, "ERR_VFMIG_VFIO_NO_IOMMU_GROUP");
          assert.ok(error.message.includes(address) && error.message.includes("intel_iommu=on"));
          return true;
        },
      );
      assert.equal(driverOf(address), "e1000e");
    },
  },
  {
    name: "what is bound goes back to the driver that it had, and its neighbours are told of",
    run() {
      const [mine, neighbour] = DEVICES.sameGroup;
      const bound = bindDevice(mine, { records: RECORDS });
      try {
        assert.deepEqual([bound.before, bound.after, bound.changed], ["e1000", "vfio-pci", true]);
        assert.deepEqual(bound.blockedBy, [{ name: neighbour, driver: "e1000" }]);
      } finally {
        unbindDevice(mine, { records: RECORDS });
      }
      assert.deepEqual([driverOf(mine), driverOf(neighbour)], ["e1000", "e1000"]);
    },
  },
  {
    name: "a device that has the host's driver is refused, with the command that binds it",
    run: async () =>
      void (await refused(at(DEVICES.sameGroup[0]), "ERR_VFMIG_VFIO_NOT_BOUND", [
        "e1000",
        `vfmig bind ${DEVICES.sameGroup[0]}`,
      ])),
  },
  {
    name: "a device whose neighbour in the group has the host's driver is refused, and the neighbour is named",
    async run() {
      const [mine, neighbour] = DEVICES.sameGroup;
      bind(mine, "vfio-pci");
      try {
        await refused(at(mine), "ERR_VFMIG_VFIO_GROUP_NOT_VIABLE", [`${neighbour} (e1000)`]);
      } finally {
        bind(mine, "e1000");
      }
    },
  },
  {
    name: "an address that is not there is refused",
    run: async () =>
      void (await refused(at("0000:7f:00.0"), "ERR_VFMIG_VFIO_ADDRESS", ["7f:00.0"])),
  },
  {
    name: "a request that the kernel does not know is refused with its name",
    async run() {
      await using device = await openBase(at(DEVICES.vfs[0]));
      // A dma-buf of a region needs Linux 6.19.
      assert.throws(
        () => device.exportRegion(0, [{ offset: 0, size: 4096 }]),
        (error) => VfmigError.is(error) && error.code === "ERR_VFMIG_VFIO_UNSUPPORTED",
      );
    },
  },
  {
    name: "a driver that is unbound while its device is open waits, asks for the device, and has it once it is closed",
    limitSeconds: 60,
    async run() {
      const [address] = DEVICES.vfs;
      const driver = `${BUS}/devices/${address}/driver`;
      const asked = Promise.withResolvers<number>();
      const listener = { onRequest: (count: number) => asked.resolve(count) };
      const device = await openBase(at(address), {}, listener);
      const unbinding = writeSlowly(`${driver}/unbind`, address);
      try {
        assert.ok((await asked.promise) >= 1);
        assert.equal(unbinding.done, false, "the kernel did not wait");
        assert.ok(device.events.requests >= 1);
        const vendor = new Uint8Array(2);
        device.readRegion(7, 0, vendor);
        assert.deepEqual([...vendor], [0x86, 0x80], "the device answers until it is closed");
      } finally {
        try {
          await device[Symbol.asyncDispose]();
        } finally {
          await unbinding.ended;
          bind(address, "vfio-pci");
        }
      }
      await using again = await openBase(at(address));
      assert.equal(again.info.identity.pci?.vendor, 0x8086);
    },
  },
];
