import { dmaCases } from "./dma.ts";
import { interruptCases } from "./interrupts.ts";
import { lifecycleCases } from "./lifecycle.ts";
import { migrationCases } from "./migration.ts";
import { regionCases } from "./regions.ts";
import type { ConformanceCase } from "./subject.ts";

/** Every rule of this package that can be tried on a device: a kernel's, or the fake's. */
export const CONFORMANCE: readonly ConformanceCase[] = [
  ...lifecycleCases,
  ...regionCases,
  ...interruptCases,
  ...dmaCases,
  ...migrationCases,
];

export { runConformance } from "./subject.ts";
export type { CaseOutcome, ConformanceCase, ConformanceSubject } from "./subject.ts";
