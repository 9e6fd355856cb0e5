export { createGuestDriver } from "../guest-iavf/driver.ts";
export { GuestFault, type GuestFaultKind } from "./fault.ts";
export * from "./guest-clock.ts";
export * from "./guest-ram.ts";
export * from "./options.ts";
export type { FrameHandler } from "./rx-ring.ts";
export { DelegatingDevice } from "../vmm/delegating-device.ts";
export { FollowedBar } from "../vmm/followed-bar.ts";
