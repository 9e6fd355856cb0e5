export { defineIntelVf } from "./define-intel-vf.ts";
export type { VfFamily } from "./family.ts";
export { type VfOptions, vfOptionsSchema } from "./options.ts";
