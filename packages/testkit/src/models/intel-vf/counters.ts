import type { FrameVerdict } from "../../wire/port.ts";

/** Kinds of destination address, in the order of the write-back's UMBCAST field. */
export type CastKind = 0 | 1 | 2;

/** 0 unicast, 1 multicast, 2 broadcast. */
export function castKind(frame: Uint8Array): CastKind {
  if ((frame[0]! & 1) === 0) return 0;
  for (let index = 0; index < 6; index++) if (frame[index] !== 0xff) return 1;
  return 2;
}

/** The VSI's statistics, as GET_STATS gives them. Cleared when the VSI is built again. */
export class Counters {
  rxBytes = 0;
  readonly rxFrames: [number, number, number] = [0, 0, 0];
  rxDiscards = 0;
  txBytes = 0;
  readonly txFrames: [number, number, number] = [0, 0, 0];
  txDiscards = 0;
  txErrors = 0;

  received(bytes: number, kind: CastKind): void {
    this.rxBytes += bytes;
    this.rxFrames[kind]++;
  }

  sent(bytes: number, kind: CastKind): void {
    this.txBytes += bytes;
    this.txFrames[kind]++;
  }

  clear(): void {
    this.rxBytes = 0;
    this.rxFrames.fill(0);
    this.rxDiscards = 0;
    this.txBytes = 0;
    this.txFrames.fill(0);
    this.txDiscards = 0;
    this.txErrors = 0;
  }
}

/** What a test may know about a model and no plugin can: never cleared by the device. */
export interface Tally {
  readonly verdicts: Record<FrameVerdict, number>;
  transmitted: number;
  /** Frames with a source address that is not the VF's (spoof check). */
  spoofed: number;
  /** Frames sent while the link was down. */
  linkDown: number;
  maliciousEvents: number;
  /** DUMMY descriptors and empty context descriptors, consumed without a frame. */
  idleDescriptors: number;
  /** Multi-buffer frames cut off by a stop, after the wire was told "accepted". */
  partialDropped: number;
}

export function createTally(): Tally {
  return {
    verdicts: {
      accepted: 0,
      "queue-disabled": 0,
      "no-descriptor": 0,
      filtered: 0,
      "too-long": 0,
      "dma-fault": 0,
    },
    transmitted: 0,
    spoofed: 0,
    linkDown: 0,
    maliciousEvents: 0,
    idleDescriptors: 0,
    partialDropped: 0,
  };
}
