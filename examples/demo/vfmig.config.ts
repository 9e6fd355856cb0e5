export { default } from "./vfmig.i40e.config.ts";
