export { findConfig, loadConfig, type LoadedConfig } from "./load-config.ts";
export { packageIntegrity, verifyIntegrity } from "./packages/package-integrity.ts";
export { type ResolvedPackage, resolvePackage } from "./packages/resolve-package.ts";
export { configJsonSchema } from "./schema.ts";
export * from "./types.ts";
