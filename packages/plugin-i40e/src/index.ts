export type { VfOptions as I40eVfOptions } from "@vfmig/iavf/vf";
export { i40eVf as default } from "./definition.ts";
