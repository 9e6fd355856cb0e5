export { default } from "./base.ts";
export { createVfioPciBase, type VfioPciBase, type VfioPciBaseSettings } from "./base.ts";
export type { HostEventListener } from "./device/host-events.ts";
export type { LowPower } from "./device/low-power.ts";
export type { VfioPciDevice } from "./device/vfio-pci-device.ts";
export { vfioPciOptions, type VfioPciOptions } from "./options.ts";
export type { SystemRoots } from "./sysfs/sysfs.ts";
export type { DependentDevice, HotResetInfo } from "./uapi/device-info.ts";
