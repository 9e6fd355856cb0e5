import type { ERROR_CODES } from "./codes.ts";

/** A key of {@link ERROR_CODES}: stable, documented, and thrown somewhere. */
export type VfmigErrorCode = keyof typeof ERROR_CODES;

/** The part of the house in which an error arose, so that a fault can be laid at one door. */
export type Layer =
  | "core"
  | "base"
  | "linux"
  | "vfio-user"
  | "vmm"
  | "host"
  | "cli"
  | "testkit"
  | `plugin:${string}`;

export interface VfmigErrorOptions {
  readonly layer: Layer;
  /** Values for machines: numbers, names and offsets that the message mentions. */
  readonly details?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/**
 * The one error class of vfmig.
 *
 * The message says what happened, where (device, layer, region, offset), why, and what to do next.
 */
export class VfmigError extends Error {
  override readonly name: string = "VfmigError";
  readonly code: VfmigErrorCode;
  readonly layer: Layer;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: VfmigErrorCode, message: string, options: VfmigErrorOptions) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.layer = options.layer;
    this.details = options.details ?? {};
  }

  /** True for any vfmig error, also one from another copy of this package. */
  static is(value: unknown): value is VfmigError {
    return (
      value instanceof Error &&
      "code" in value &&
      typeof value.code === "string" &&
      value.code.startsWith("ERR_VFMIG_") &&
      "layer" in value
    );
  }

  toJSON(): { code: string; layer: string; message: string; details: unknown } {
    return { code: this.code, layer: this.layer, message: this.message, details: this.details };
  }
}
