export * from "./features.ts";
export * from "./feature-table.ts";
export * from "./table.ts";
