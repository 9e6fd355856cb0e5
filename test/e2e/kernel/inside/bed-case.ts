import type { MadeRequest } from "./recorded-io.ts";

/** What a case measured, by name with its unit. */
export type Figures = Readonly<Record<string, number | string>>;

/** A case that runs in the guest, on its kernel. */
export interface BedCase {
  readonly name: string;
  /** Default 30. Emulation is slow: measure on a busy machine, then take four times that. */
  readonly limitSeconds?: number;
  /** Throws if what it saw is wrong; may return what it measured. */
  readonly run: () => Promise<Figures | void> | Figures | void;
}

/** Thrown by a case that this kernel cannot run. */
export class Unsupported extends Error {
  override readonly name = "Unsupported";
}

/** What became of one case; one line of JSON from the guest. */
export interface CaseReport {
  readonly case: string;
  readonly outcome: "passed" | "failed" | "skipped";
  readonly why?: string;
  readonly figures?: Figures;
}

/** What the process's cases asked of the kernel's VFIO: by way, request and result. One line, at its end. */
export interface RequestReport {
  /** The kernel's release, as `uname -r` tells it. */
  readonly requestsOf: string;
  readonly made: readonly MadeRequest[];
}

export const DEFAULT_LIMIT_SECONDS = 30;
