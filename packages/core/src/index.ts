export * from "./base/definition.ts";
export * from "./clock.ts";
export { compose, type ComposeOptions } from "./compose/compose.ts";
export type { ComposedDevice } from "./compose/composed-device.ts";
export type { DescriptionFacet } from "./compose/description.ts";
export type { IrqEventFactory } from "./compose/interrupts.ts";
export { type ComposeLimits, DEFAULT_COMPOSE_LIMITS } from "./compose/plugin-guard.ts";
export type { MemoryAllocator } from "./compose/private-memory.ts";
export type { ConfigIssue } from "./config/issues.ts";
export { findConfig, loadConfig, type LoadedConfig } from "./config/load-config.ts";
export {
  type ImportedPackage,
  importModule,
  importPackage,
} from "./config/packages/import-package.ts";
export { packageIntegrity, verifyIntegrity } from "./config/packages/package-integrity.ts";
export { type ResolvedPackage, resolvePackage } from "./config/packages/resolve-package.ts";
export { configJsonSchema } from "./config/schema.ts";
export * from "./config/types.ts";
export type { DeviceInput } from "./device/device-input.ts";
export * from "./device/dma.ts";
export * from "./device/info.ts";
export * from "./device/irqs.ts";
export { coversArea } from "./device/mmap-areas.ts";
export { checkRegionAccess } from "./device/region-access.ts";
export { type Stretch, withoutRanges } from "./device/stretches.ts";
export * from "./device/vfio-device.ts";
export * from "./dirty/dirty-bitmap.ts";
export type { DirtyRange } from "./dirty/dirty-range.ts";
export * from "./dirty/dma-logging-facet.ts";
export type { DirtySource } from "./dirty/sources.ts";
export * from "./errors/codes.ts";
export * from "./errors/vfmig-error.ts";
export { checkIrqRequest, isIrqDisable } from "./irqs/check-irq-request.ts";
export { createIrqVectors, type IrqVectors, type IrqVectorsOptions } from "./irqs/irq-vectors.ts";
export * from "./logger.ts";
export { quietLogger, type QuietLoggerOptions } from "./quiet-logger.ts";
export { createGuestMemory } from "./memory/create-guest-memory.ts";
export {
  createDmaMap,
  type DmaEntry,
  type DmaMap,
  DMA_MAPPINGS_MAX,
  DMA_PAGE_SIZE,
} from "./memory/dma-map.ts";
export * from "./memory/guest-memory.ts";
export {
  createReachableMemory,
  type MemoryWay,
  type ReachableMemory,
} from "./memory/reachable-memory.ts";
export * from "./migration/migration-facet.ts";
export {
  checkTarget,
  hasState,
  isSaving,
  migrationPath,
  nextArc,
  nextState,
  requiredArcs,
} from "./migration/next-state.ts";
export * from "./migration/states.ts";
export { V1_DATA_OFFSET, V1_REGISTER, V1_STATE } from "./migration/v1/registers.ts";
export {
  type V1MigrationOptions,
  withV1MigrationRegion,
} from "./migration/v1/with-v1-migration-region.ts";
export { checkFacets } from "./plugin/check-facets.ts";
export * from "./plugin/define-sub-driver.ts";
export { validateManifest } from "./plugin/manifest.ts";
export { matchesDevice } from "./plugin/matches-device.ts";
export { type OptionsOwner, parseOptions } from "./plugin/options.ts";
export * from "./plugin/registry.ts";
export * from "./record/index.ts";
export * from "./scenario/scenario.ts";
export type { ReplacementOutcome, ReplacementStep } from "./slot/outcome.ts";
export {
  createReplaceableDevice,
  type ReplaceableDevice,
  type ReplaceableOptions,
} from "./slot/replaceable-device.ts";
export * from "./state/compare-descriptions.ts";
export * from "./state/dry-run.ts";
export {
  inspectState,
  type StateProblem,
  type StateTree,
  type StateTreeRecord,
} from "./state/inspect.ts";
export { DEFAULT_STATE_LIMITS, type StateLimits } from "./state/layout.ts";
export * from "./state/render-state.ts";
export type { StateHeader } from "./state/state-header.ts";
export * from "./state/state-reader.ts";
export type { StateNode } from "./state/state-tree.ts";
export * from "./state/state-writer.ts";
export * from "./sub-driver/context.ts";
export * from "./sub-driver/definition.ts";
export * from "./sub-driver/description.ts";
export * from "./sub-driver/facets.ts";
export type { IntendedChange } from "./sub-driver/intended-change.ts";
export { type Interposition, transparentSubDriver } from "./sub-driver/transparent.ts";
