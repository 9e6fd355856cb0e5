export { igbVf as default } from "./definition.ts";
export type { IgbVfOptions } from "./options.ts";
