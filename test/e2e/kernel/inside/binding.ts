import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readlinkSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { createLinuxIo } from "@vfmig/linux";
// Not public: what tests need of a machine's network.
import { bringUp } from "../../../../packages/linux/src/testing/host-interface.ts";
import { DEVICES } from "./devices.ts";

export const BUS = "/sys/bus/pci";
const ENABLE_SRIOV = "/sys/module/vfio_pci/parameters/enable_sriov";

export function folderOf(address: string): string {
  return join(BUS, "devices", address);
}

export function driverOf(address: string): string {
  return basename(readlinkSync(join(folderOf(address), "driver")));
}

/** Gives a function to a driver, by hand as an operator would. */
export function bind(address: string, driver: string): void {
  if (existsSync(join(folderOf(address), "driver")) && driverOf(address) === driver) return;
  const folder = folderOf(address);
  writeFileSync(join(folder, "driver_override"), driver);
  try {
    writeFileSync(join(folder, "driver/unbind"), address);
  } catch {
    // No driver had it.
  }
  writeFileSync(join(BUS, "drivers_probe"), address);
  assert.equal(driverOf(address), driver);
}

/** A write to sysfs that stands still until a device is free, in a process of its own. */
export interface SlowWrite extends AsyncDisposable {
  /** False while the kernel waits. */
  readonly done: boolean;
  /** Settles when the kernel has done it; fails if it refused. */
  readonly ended: Promise<void>;
}

export function writeSlowly(path: string, text: string): SlowWrite {
  const writer = spawn("sh", ["-c", `echo ${text} >${path}`], { stdio: "inherit" });
  const ended = (async (): Promise<void> => {
    const [code] = (await once(writer, "exit")) as [number | null];
    assert.equal(code, 0, `writing ${text} to ${path} failed`);
  })();
  // Whoever waits hears of it; nobody else needs to.
  ended.catch(() => {});
  return {
    get done() {
      return writer.exitCode !== null;
    },
    ended,
    async [Symbol.asyncDispose]() {
      await ended.catch(() => {});
    },
  };
}

/** The bed's NIC as every case finds it: the PF is the host's, and its VFs are on vfio-pci. */
export function restoreNic(): void {
  const { pf, vfs } = DEVICES;
  setVfs(0);
  bind(pf, "igb");
  setVfs(vfs.length);
  const io = createLinuxIo();
  for (const name of readdirSync(join(folderOf(pf), "net"))) bringUp(io, name);
  for (const vf of vfs) bind(vf, "vfio-pci");
}

/** The PF on vfio-pci, with the VFs that vfio-pci makes; everything is as before once it is disposed. */
export function pfOnVfioPci(): Disposable {
  const { pf, vfs } = DEVICES;
  setVfs(0);
  bind(pf, "vfio-pci");
  writeFileSync(ENABLE_SRIOV, "1");
  setVfs(vfs.length);
  return {
    [Symbol.dispose]() {
      setVfs(0);
      writeFileSync(ENABLE_SRIOV, "0");
      restoreNic();
    },
  };
}

/** How many VFs the PF has; waits in the kernel until those that go are closed. */
function setVfs(count: number): void {
  writeFileSync(join(folderOf(DEVICES.pf), "sriov_numvfs"), String(count));
}
