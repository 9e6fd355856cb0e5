import { join, resolve } from "node:path";
import type { DeviceConfig } from "@vfmig/core";

/** Where a device listens: where its entry says, or in the run's own folder. */
export function socketPathOf(
  { name, socket }: Pick<DeviceConfig, "name" | "socket">,
  folders: { readonly folder: string; readonly runtimeFolder: string },
): string {
  return socket === undefined
    ? join(folders.runtimeFolder, `${name}.sock`)
    : resolve(folders.folder, socket);
}
