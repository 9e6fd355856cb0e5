import { connectVfioUser, type VfioUserClient } from "@vfmig/vfio-user";
import { createLinuxIo } from "@vfmig/linux";
import type { DeviceEntry } from "../../serve/configurations.ts";
import { Served } from "../../serve/served.ts";

/** Three processes start there, each of which takes seconds in emulation. */
const START_MS = 150_000;

/** Devices that `vfmig serve` serves in the guest, each with a client of ours. */
export async function serve(
  entries: readonly DeviceEntry[],
): Promise<{ readonly served: Served; readonly clients: readonly VfioUserClient[] }> {
  const served = await Served.start(entries, START_MS);
  const clients: VfioUserClient[] = [];
  try {
    const io = createLinuxIo();
    for (const { socketPath: path } of served.devices) {
      clients.push(await connectVfioUser({ io, path, regionFds: false, syncTimeoutMs: 60_000 }));
    }
    return { served, clients };
  } catch (error) {
    for (const client of clients) await client.close();
    await served[Symbol.asyncDispose]();
    throw error;
  }
}
