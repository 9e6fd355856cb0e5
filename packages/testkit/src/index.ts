export { createManualClock, type ManualClock } from "./clock/manual-clock.ts";
export { settle, type SettleOptions } from "./clock/settle.ts";
export {
  createE810VfModel,
  type CreateE810VfModelOptions,
  type E810VfControl,
  type E810VfModel,
  type E810VfTruth,
} from "./models/e810-vf/e810-vf-model.ts";
export {
  e810VfOptions,
  type E810VfOptions,
  type E810VfOptionsInput,
} from "./models/e810-vf/options.ts";
export {
  createI40eVfModel,
  type CreateI40eVfModelOptions,
  type I40eVfControl,
  type I40eVfModel,
  type I40eVfTruth,
} from "./models/i40e-vf/i40e-vf-model.ts";
export {
  i40eVfOptions,
  type I40eVfOptions,
  type I40eVfOptionsInput,
} from "./models/i40e-vf/options.ts";
export type {
  VfControl,
  VfModel,
  VfModelContext,
  VfTruth,
} from "./models/intel-vf/create-vf-model.ts";
export type { VfSettings } from "./models/intel-vf/vf-settings.ts";
export type { TailReads, VfModelOptions } from "./models/intel-vf/options.ts";
export * from "./guest/index.ts";
export * from "./traffic/index.ts";
export { withMappableRegions } from "./vmm/mappable-device.ts";
export {
  createMappingUser,
  type MappingManners,
  type MappingUser,
  type MappingUserOptions,
} from "./vmm/mapping-user.ts";
export * from "./wire/index.ts";
