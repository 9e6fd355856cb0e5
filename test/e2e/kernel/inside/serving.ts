import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { silentLogger, systemClock } from "@vfmig/core";
import { openHost, type Host } from "@vfmig/host";
import { createLinuxIo } from "@vfmig/linux";
import { connectVfioUser, type VfioUserClient } from "@vfmig/vfio-user";
import type { DeviceEntry } from "../../serve/configurations.ts";

const MODULES = fileURLToPath(new URL("../../../node_modules", import.meta.url));
/** Each device's process takes seconds to start in emulation, and many on a busy machine. */
const OPEN_LIMIT_MS = 150_000;

/** Devices that our host serves in the guest, each in a process of its own and with a client here. */
export interface Serving extends AsyncDisposable {
  readonly host: Host;
  readonly clients: readonly VfioUserClient[];
}

/**
 * @param regionFds - whether the clients get the files of regions that can be mapped
 * @param used - which devices have a client here
 */
export async function serve(
  entries: readonly DeviceEntry[],
  regionFds = false,
  used: (name: string) => boolean = () => true,
): Promise<Serving> {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "vfmig-bed-"));
  stack.defer(async () => rm(folder, { recursive: true }));
  await symlink(MODULES, join(folder, "node_modules"));
  await writeFile(join(folder, "vfmig.config.json"), JSON.stringify({ devices: entries }));
  const options = { config: folder, logger: silentLogger, clock: systemClock };
  const host = stack.use(await openHost({ ...options, openLimitMs: OPEN_LIMIT_MS }));
  const io = createLinuxIo();
  const clients: VfioUserClient[] = [];
  for (const { socketPath: path } of host.devices.filter(({ name }) => used(name))) {
    const client = await connectVfioUser({ io, path, regionFds, syncTimeoutMs: 60_000 });
    clients.push(stack.use(client));
  }
  const opened = stack.move();
  return { host, clients, [Symbol.asyncDispose]: async () => opened.disposeAsync() };
}
