import type { IrqRequest } from "../device/irqs.ts";
import type { IntendedChange } from "../sub-driver/intended-change.ts";
import type { MigrationState } from "../migration/states.ts";

/** An error as a recording keeps it. Only `errno` is what a guest's side can see. */
export interface RecordedError {
  readonly code: string;
  readonly layer: string;
  readonly errno: string;
  readonly message: string;
}

/** What a user asked beside region accesses; addresses and sizes in bytes. */
export type RecordedCall =
  | {
      readonly name: "irqs";
      readonly index: number;
      readonly start: number;
      readonly count: number;
      readonly action: IrqRequest["action"];
      readonly kind: IrqRequest["data"]["kind"];
      /** For `bool` its values; for `event` 1 where there is one. */
      readonly values?: Uint8Array | undefined;
    }
  | {
      readonly name: "map";
      readonly iova: number;
      readonly size: number;
      readonly read: boolean;
      readonly write: boolean;
      /** How the device reaches it: only of shared memory the contents are recorded. */
      readonly memory: "shared" | "remote" | "none";
    }
  | { readonly name: "unmap"; readonly iova: number; readonly size: number }
  | { readonly name: "reset" }
  | { readonly name: "state"; readonly target: MigrationState }
  | { readonly name: "save"; readonly length: number }
  | { readonly name: "load"; readonly data: Uint8Array }
  | { readonly name: "size" | "precopy" | "log-stop" }
  | {
      readonly name: "log-start";
      readonly pageSize: number;
      readonly ranges: readonly { readonly iova: number; readonly size: number }[];
    }
  | {
      readonly name: "log-report";
      readonly iova: number;
      readonly size: number;
      readonly pageSize: number;
    };

/** What came of a call. */
export interface RecordedAnswer {
  readonly error?: RecordedError | undefined;
  /** Saved bytes, or the bitmap of a report. */
  readonly data?: Uint8Array | undefined;
  /** A granted page size, an estimate. */
  readonly value?: number | undefined;
  /** The migration state afterwards. */
  readonly state?: MigrationState | undefined;
  /** In a replay: the device does not offer what was asked. */
  readonly skipped?: boolean | undefined;
}

/** An access to a region. */
export interface RecordedAccess<Kind extends "read" | "write"> {
  readonly kind: Kind;
  readonly op: number;
  readonly region: number;
  readonly offset: number;
  /** What was read or written; where it failed, an answer follows. */
  readonly data: Uint8Array;
}

/** The device raised a vector; in a replay, `missed` where it did not in time. */
export interface RecordedSignal<Kind extends "signal" | "missed"> {
  readonly kind: Kind;
  readonly op: number;
  readonly index: number;
  readonly vector: number;
}

/**
 * Bytes that the device changed, that the guest changed, or that were in a page when the device reached
 * into it first.
 */
export interface RecordedMemory {
  readonly kind: "device-memory" | "guest-memory" | "initial-memory";
  readonly op: number;
  readonly iova: number;
  readonly data: Uint8Array;
}

/** What the guest's side did, by number: the same number names the same step in every replay. */
export type RecordedStep =
  | RecordedAccess<"read">
  | RecordedAccess<"write">
  | { readonly kind: "call"; readonly op: number; readonly call: RecordedCall };

/** What happened meanwhile; `op` is the last step before it. */
export type RecordedHappening =
  | { readonly kind: "answer"; readonly op: number; readonly answer: RecordedAnswer }
  | RecordedSignal<"signal">
  | RecordedSignal<"missed">
  | RecordedMemory
  /** Something reached the device from outside, and it acts on that next. */
  | { readonly kind: "input"; readonly op: number; readonly data: Uint8Array }
  /** What the sub-driver has just written it means to show otherwise than the device. */
  | { readonly kind: "intended"; readonly op: number; readonly change: IntendedChange }
  /** The event loop of the device's process turned: what was due in it was done. */
  | { readonly kind: "turn"; readonly op: number };

export type RecordedEvent = RecordedStep | RecordedHappening;
