export { default, type VfioUserBaseOptions } from "./base.ts";
