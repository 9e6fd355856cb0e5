/** What went over one end of a wire, and what did not; in frames. */
export interface WireCounters {
  /** Frames that arrived and were handed to the device, whatever it did with them. */
  received: number;
  /** Frames of the device that the other end took. */
  sent: number;
  /** Frames of the device that were dropped because the other end took none for too long. */
  full: number;
  /** Frames of the device that were dropped because nobody was at the other end. */
  absent: number;
  /** Frames of the device that the system refused. */
  failed: number;
  /** Dropped for being shorter than an Ethernet header, in either direction. */
  runts: number;
  /** Dropped for being longer than 16,384 bytes, in either direction. */
  oversize: number;
}

export function createWireCounters(): WireCounters {
  return { received: 0, sent: 0, full: 0, absent: 0, failed: 0, runts: 0, oversize: 0 };
}

/** Shortest frame: an Ethernet header. */
export const MIN_WIRE_FRAME = 14;
