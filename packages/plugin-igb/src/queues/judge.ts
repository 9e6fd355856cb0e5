import type { GuestMemory } from "@vfmig/core";
import { SRRCTL } from "../registers/registers.ts";
import { DESCRIPTOR_SIZE } from "./codecs.ts";
import { RING_MAX } from "./ring-memory.ts";

/** Rings are counted in cache lines of 128 bytes. */
const UNIT = 8;

/** IOVAs are below this, in bytes. */
const ADDRESS_LIMIT = 2 ** 52;

/** What a guest has programmed of a queue, as far as it decides whether it can be relayed. */
export interface QueueSettings {
  readonly base: number;
  /** Descriptors. */
  readonly count: number;
}

/**
 * Why a ring cannot be relayed; undefined where it can.
 * @param memory - where it must be reachable; absent where the guest's memory may come later
 */
export function judgeRing(settings: QueueSettings, memory?: GuestMemory): string | undefined {
  const { base, count } = settings;
  if (count < UNIT || count > RING_MAX || count % UNIT !== 0) {
    return `its ring has ${count} descriptors: not a multiple of ${UNIT} up to ${RING_MAX}`;
  }
  if (base + count * DESCRIPTOR_SIZE > ADDRESS_LIMIT) {
    return `its ring at 0x${base.toString(16)} lies beyond what a device can address`;
  }
  // The first and the last page: a ring with a hole in its middle waits at the hole.
  for (const at of [base, base + (count - 1) * DESCRIPTOR_SIZE]) {
    if (memory !== undefined && memory.find(at, DESCRIPTOR_SIZE, "write") === undefined) {
      return `its ring at 0x${base.toString(16)} is not in memory that this process can reach; back that range with shared memory (memfd)`;
    }
  }
  return undefined;
}

/** Why a receive queue's buffers cannot be relayed; undefined where they can. */
export function judgeBuffers(srrctl: number): string | undefined {
  if ((srrctl & SRRCTL.TYPE_MASK) !== SRRCTL.ONE_BUFFER) {
    return "it splits headers off (SRRCTL), whose second buffer is not relayed; keep the guest's MTU at 1500 or less";
  }
  if (bufferBytes(srrctl) === 0) {
    return "its buffers are as long as the PF says (SRRCTL 0), which a VF cannot know";
  }
  return undefined;
}

/** Bytes of a receive buffer. */
export function bufferBytes(srrctl: number): number {
  return (srrctl & SRRCTL.BUFFER_MASK) * SRRCTL.BUFFER_UNIT;
}
