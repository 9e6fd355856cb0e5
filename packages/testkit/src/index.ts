export { createManualClock, type ManualClock } from "./clock/manual-clock.ts";
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
export * from "./guest/index.ts";
export * from "./traffic/index.ts";
export * from "./wire/index.ts";
