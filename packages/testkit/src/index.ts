export * from "./traffic/index.ts";
export * from "./wire/index.ts";
