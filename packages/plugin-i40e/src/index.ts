export { i40eVf as default } from "./definition.ts";
export type { I40eVfOptions } from "./options.ts";
