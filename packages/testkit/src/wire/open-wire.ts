import { join, resolve } from "node:path";
import type { BaseContext } from "@vfmig/core";
import { openDgramPort } from "./dgram-port.ts";
import { createNonePort } from "./none-port.ts";
import { openPcapPort } from "./pcap-port.ts";
import type { WirePort } from "./port.ts";
import { listenWirePort } from "./socket-port.ts";
import { joinSwitch } from "./switch/switch-port.ts";
import { openTapPort } from "./tap-port.ts";
import type { DeviceWireOptions } from "./wire-options.ts";

/**
 * Opens the wire that a configuration names for a device; `context` is what the device's base was given.
 * @throws VfmigError `ERR_VFMIG_WIRE_PORT`, `ERR_VFMIG_WIRE_TAP`, `ERR_VFMIG_PCAP_FILE`,
 *   `ERR_VFMIG_PCAP_FORMAT`, `ERR_VFMIG_TRAFFIC_CAPTURE`
 */
export async function openDeviceWire(
  options: DeviceWireOptions,
  context: Omit<BaseContext, "options">,
): Promise<WirePort> {
  const { device, logger, clock, folder, runtimeFolder } = context;
  const at = (path: string): string => resolve(folder, path);
  switch (options.kind) {
    case "none":
      return createNonePort();
    case "dgram": {
      const { local, remote } = options;
      return openDgramPort({ local: at(local), remote: at(remote), clock, logger });
    }
    case "tap":
      return openTapPort({ name: options.name, clock, logger });
    case "pcap": {
      const { file, loop = false, rate, record } = options;
      const to = record === undefined ? undefined : at(record);
      return openPcapPort({ file: at(file), loop, rate, record: to, clock, logger });
    }
    case "switch":
      return joinSwitch({ path: at(options.path), clock, logger });
    default:
      return await listenWirePort(join(runtimeFolder, `${device}.wire`), {
        clock,
        onError: (error) => logger.warn("the wire broke its protocol", { error: String(error) }),
      });
  }
}
