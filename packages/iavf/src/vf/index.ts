export { defineIntelVf } from "./define-intel-vf.ts";
export type { VfFamily } from "./family.ts";
export { type ShadowMode, type VfOptions, vfOptionsSchema } from "./options.ts";
export type { SwitchKind, SwitchOutcome, SwitchTotal, SwitchWindow } from "./shadow/switch-log.ts";
