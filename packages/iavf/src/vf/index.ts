export { defineIntelVf } from "./define-intel-vf.ts";
export type { DoorbellStatus } from "./doorbells/doorbells.ts";
export type { UntrustedLimits, VfFamily } from "./family.ts";
export {
  featureTable,
  type UncarriedPolicy,
  VF_FEATURES,
  type VfFeature,
  type VfFeatureFate,
} from "./features/index.ts";
export { type DoorbellMode, type ShadowMode, type VfOptions, vfOptionsSchema } from "./options.ts";
export type { StrandedDoing, StrandedStatus } from "./shadow/stranded-status.ts";
export type { SwitchKind, SwitchOutcome, SwitchTotal, SwitchWindow } from "@vfmig/shadow-queue";
