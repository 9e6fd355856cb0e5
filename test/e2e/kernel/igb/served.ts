import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { systemClock, type Logger } from "@vfmig/core";
import { openHost, type Host } from "@vfmig/host";
import { makeCapture } from "./capture.ts";
import { DEVICES } from "../inside/devices.ts";

const MODULES = fileURLToPath(new URL("../../../node_modules", import.meta.url));
/** Two processes start at once, on two emulated processors. */
const OPEN_LIMIT_MS = 120_000;
const GUEST_MAC = "02:00:00:00:00:0a";
/** Whom the guest talks to, beyond the NIC's cable. */
const PEER_MAC = "02:00:00:00:00:0b";

/** Both VFs of the bed's NIC, served by a host of ours on the kernel's vfio-pci. */
export interface ServedVfs extends AsyncDisposable {
  readonly host: Host;
  /** What devices and host warned of. */
  readonly warnings: readonly string[];
}

/**
 * @param driver - the plugin for both, or undefined for the kernel's device as it is
 * @param maps - whether the guest's VMM may map BAR0, and does
 */
export async function serveVfs(
  driver: object | undefined = { package: "@vfmig/plugin-igb", options: { quiesceMs: 0 } },
  maps = false,
): Promise<ServedVfs> {
  const folder = await mkdtemp(join(tmpdir(), "vfmig-igb-"));
  await symlink(MODULES, join(folder, "node_modules"));
  await writeFile(join(folder, "traffic.pcap"), makeCapture(GUEST_MAC, PEER_MAC));
  await writeFile(join(folder, "vfmig.config.json"), JSON.stringify(configuration(driver, maps)));
  const warnings: string[] = [];
  const say = (text: string, d?: unknown): void => {
    console.log(text, d);
    warnings.push(text);
  };
  const logger: Logger = { debug() {}, info() {}, warn: say, error: say };
  const host = await openHost({
    config: folder,
    logger,
    clock: systemClock,
    openLimitMs: OPEN_LIMIT_MS,
  });
  return {
    host,
    warnings,
    async [Symbol.asyncDispose]() {
      await host[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    },
  };
}

function configuration(driver: object | undefined, maps: boolean): object {
  const mmap = maps ? "direct" : "none";
  const devices = DEVICES.vfs.map((address, index) => ({
    name: `vf${index + 1}`,
    base: { package: "@vfmig/vfio-pci-base", options: { address, mmap } },
    ...(driver && { driver }),
  }));
  const options = {
    capture: "traffic.pcap",
    guestMac: GUEST_MAC,
    driver: "igbvf",
    maps,
    lan: { tap: DEVICES.lan.tap },
    ramMiB: 8,
    settleMs: 1000,
  };
  return { devices, scenario: { package: "@vfmig/testkit/move-scenario", options } };
}
