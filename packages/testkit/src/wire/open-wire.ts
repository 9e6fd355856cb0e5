import { join, resolve } from "node:path";
import type { BaseContext } from "@vfmig/core";
import { openDgramPort } from "./dgram-port.ts";
import { createNonePort } from "./none-port.ts";
import type { WirePort } from "./port.ts";
import { listenWirePort } from "./socket-port.ts";
import type { DeviceWireOptions } from "./wire-options.ts";

/**
 * Opens the wire that a configuration names for a device.
 * @throws VfmigError `ERR_VFMIG_WIRE_PORT` where a socket cannot be opened
 */
export async function openDeviceWire(
  options: DeviceWireOptions,
  context: Omit<BaseContext, "options">,
): Promise<WirePort> {
  const { device, logger, clock, folder, runtimeFolder } = context;
  switch (options.kind) {
    case "none":
      return createNonePort();
    case "dgram": {
      const local = resolve(folder, options.local);
      return openDgramPort({ local, remote: resolve(folder, options.remote), clock, logger });
    }
    default:
      return await listenWirePort(join(runtimeFolder, `${device}.wire`), {
        clock,
        onError: (error) => logger.warn("the wire broke its protocol", { error: String(error) }),
      });
  }
}
