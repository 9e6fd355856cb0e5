import type { DirtySink, GuestMemory } from "@vfmig/core";
import type { RingCodec } from "./codec.ts";

/** Where the guest keeps its ring. */
export interface GuestRing {
  /** IOVA of descriptor 0, a multiple of the descriptor size. */
  readonly base: number;
  /** Descriptors. */
  readonly count: number;
}

/** The ring that the device sees, in memory that the guest did not give. */
export interface PrivateRing {
  readonly data: DataView;
  /** Descriptors; the device gets at most one less. */
  readonly count: number;
}

/** The guest's position in its ring, in slots. */
export interface RingPosition {
  /** The next slot to be completed. */
  readonly complete: number;
  /** The first slot that the guest has not posted. */
  readonly tail: number;
}

/** Why a relay cannot go on for now; it tries again on the next occasion. */
export interface RelayFault {
  readonly kind: "ring-unreachable" | "buffer-unreachable" | "tail-backwards" | "tail-range";
  /** Guest slot, or the tail for a tail fault. */
  readonly slot: number;
  readonly address: number;
  readonly length: number;
}

export interface RelayOptions {
  readonly codec: RingCodec;
  readonly memory: GuestMemory;
  /** Told of every byte of guest memory that the device or the relay may have written. */
  readonly dirty: DirtySink;
  readonly guest: GuestRing;
  readonly ring: PrivateRing;
  /** Tells the device its new tail in the private ring. */
  readonly doorbell: (tail: number) => void;
  /** Called once per episode; must not throw. */
  readonly onFault?: (fault: RelayFault) => void;
}

/** What a relay has done since it was made. */
export interface RelayCounters {
  /** Guest descriptors given to the device. */
  readonly forwarded: number;
  /** Guest descriptors that the device has finished. */
  readonly completed: number;
  /** Descriptors of the relay's owner. */
  readonly own: number;
  /** Episodes in which the relay could not go on. */
  readonly faults: number;
}
