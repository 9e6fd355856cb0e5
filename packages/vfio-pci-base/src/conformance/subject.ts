import type { BaseGrant } from "@vfmig/core";
import type { NativeIo } from "@vfmig/linux";
import type { VfioPciDevice } from "../device/vfio-pci-device.ts";
import type { VfioPciOptions } from "../options.ts";

/** A device that nobody uses, on some kernel: a real one, or the fake of this package's tests. */
export interface ConformanceSubject {
  readonly io: NativeIo;
  /** Opens it; the case closes it again. */
  readonly open: (
    options?: Partial<Pick<VfioPciOptions, "mmap" | "iommuDirty">>,
  ) => Promise<VfioPciDevice>;
  /** The privileged half alone; the case closes the descriptors again. */
  readonly acquire: () => Promise<BaseGrant>;
}

/** One rule that holds on every kernel. It throws where it does not hold. */
export interface ConformanceCase {
  /** Stable, such as `dma.identical`. */
  readonly id: string;
  /** A sentence of behaviour. */
  readonly title: string;
  /** Why this device cannot be asked; undefined where it can. */
  readonly requires?: (device: VfioPciDevice) => string | undefined;
  readonly run: (subject: ConformanceSubject) => Promise<void>;
}

export interface CaseOutcome {
  readonly id: string;
  readonly title: string;
  readonly result: "passed" | "failed" | "skipped";
  /** Why it was skipped, or what failed. */
  readonly reason?: string;
}

/** Runs cases one after the other; a failed one does not stop the rest. */
export async function runConformance(
  cases: readonly ConformanceCase[],
  subject: ConformanceSubject,
): Promise<readonly CaseOutcome[]> {
  const outcomes: CaseOutcome[] = [];
  for (const each of cases) {
    // oxlint-disable-next-line no-await-in-loop -- one device, one user
    outcomes.push(await runCase(each, subject));
  }
  return outcomes;
}

async function runCase(
  { id, title, requires, run }: ConformanceCase,
  subject: ConformanceSubject,
): Promise<CaseOutcome> {
  try {
    const missing = requires === undefined ? undefined : await ask(subject, requires);
    if (missing !== undefined) return { id, title, result: "skipped", reason: missing };
    await run(subject);
    return { id, title, result: "passed" };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { id, title, result: "failed", reason };
  }
}

async function ask(
  subject: ConformanceSubject,
  requires: (device: VfioPciDevice) => string | undefined,
): Promise<string | undefined> {
  await using device = await subject.open();
  return requires(device);
}
