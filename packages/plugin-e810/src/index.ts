export type { VfOptions as E810VfOptions } from "@vfmig/iavf/vf";
export { e810Vf as default } from "./definition.ts";
