/** Something in guest memory that a sub-driver shows otherwise than the device would, and means to. */
export interface IntendedChange {
  readonly iova: number;
  /** The bits that may differ, from `iova` on: a set bit is the sub-driver's to choose. At most 4,096 bytes. */
  readonly mask: Uint8Array;
  /** For people, such as `capabilities that it does not carry are hidden`. */
  readonly why: string;
}

/** Bytes that one change may have. */
export const INTENDED_BYTES = 4096;
