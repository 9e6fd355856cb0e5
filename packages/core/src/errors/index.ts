export * from "./codes.ts";
export * from "./vfmig-error.ts";
