import assert from "node:assert/strict";
import { closeSync, openSync, readSync, readlinkSync } from "node:fs";
import { basename } from "node:path";
import { createLinuxIo } from "@vfmig/linux";
import type { BedCase } from "../inside/bed-case.ts";
import { DEVICES } from "../inside/devices.ts";

// The kernel's own answers, asked without vfio-pci-base: should these differ, the bed is wrong and not the base.
// Commands and layouts are those of include/uapi/linux/vfio.h.
const GET_API_VERSION = 0x3b64;
const CHECK_EXTENSION = 0x3b65;
const SET_IOMMU = 0x3b66;
const GROUP_GET_STATUS = 0x3b67;
const GROUP_SET_CONTAINER = 0x3b68;
const GROUP_GET_DEVICE_FD = 0x3b6a;
const DEVICE_GET_INFO = 0x3b6b;
const DEVICE_GET_REGION_INFO = 0x3b6c;
const TYPE1V2 = 3;
const VIABLE = 1;
const CONFIG = 7;

const io = createLinuxIo();

/** Asks with a struct of `words` 32-bit words that begins with its size, and returns what came back. */
function ask(fd: number, request: number, words: readonly number[]): Uint32Array {
  const struct = Uint32Array.of(words.length * 4 + 4, ...words);
  io.ioctl(fd, request, new Uint8Array(struct.buffer));
  return struct;
}

/** Opens a device as every user of the group interface does, and closes all of it again. */
function withDevice(path: string, use: (fd: number) => void): void {
  const fds: number[] = [];
  const keep = (fd: number): number => {
    fds.unshift(fd);
    return fd;
  };
  try {
    const container = keep(openSync("/dev/vfio/vfio", "r+"));
    const group = keep(
      openSync(`/dev/vfio/${basename(readlinkSync(`${path}/iommu_group`))}`, "r+"),
    );
    assert.equal((ask(group, GROUP_GET_STATUS, [0])[1] ?? 0) & VIABLE, VIABLE, "not viable");
    io.ioctl(group, GROUP_SET_CONTAINER, new Uint8Array(Int32Array.of(container).buffer));
    io.ioctl(container, SET_IOMMU, TYPE1V2);
    use(keep(io.ioctl(group, GROUP_GET_DEVICE_FD, Buffer.from(`${basename(path)}\0`))));
  } finally {
    for (const fd of fds) closeSync(fd);
  }
}

/** Vendor and device in configuration space, at the offset that the kernel tells. */
function identity(fd: number): string {
  const info = ask(fd, DEVICE_GET_REGION_INFO, [0, CONFIG, 0, 0, 0, 0, 0]);
  const offset = BigInt(info[6] ?? 0) | (BigInt(info[7] ?? 0) << 32n);
  const bytes = Buffer.alloc(4);
  assert.equal(readSync(fd, bytes, 0, 4, offset), 4);
  return `${bytes.readUInt16LE(0).toString(16)}:${bytes.readUInt16LE(2).toString(16)}`;
}

export const cases: readonly BedCase[] = [
  {
    name: "the kernel speaks version 0 and has TYPE1v2",
    run() {
      const fd = openSync("/dev/vfio/vfio", "r+");
      try {
        assert.equal(io.ioctl(fd, GET_API_VERSION), 0);
        assert.equal(io.ioctl(fd, CHECK_EXTENSION, TYPE1V2), 1);
      } finally {
        closeSync(fd);
      }
    },
  },
  ...DEVICES.vfs.map((address): BedCase => ({
    name: `${address} opens by its group and is an 82576 VF`,
    run() {
      withDevice(`/sys/bus/pci/devices/${address}`, (fd) => {
        const [, flags = 0, regions, irqs] = ask(fd, DEVICE_GET_INFO, [0, 0, 0, 0, 0]);
        assert.deepEqual([flags & 3, regions, irqs], [3, 9, 5]);
        assert.equal(identity(fd), "8086:10ca");
      });
    },
  })),
];
