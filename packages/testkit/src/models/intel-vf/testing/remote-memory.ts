import { VfmigError, type RemoteMemory } from "@vfmig/core";
import { IOVA, type Rig } from "./rig.ts";

/** Descriptors of a rig's rings. */
export const RING = 64;
/** The write-back's bit that says done. */
export const DD = 1;

interface Exchange {
  readonly access: "read" | "write";
  /** From the start of the rig's memory. */
  readonly at: number;
  readonly length: number;
}

/** Memory of a rig behind messages, whose answers a test may hold back or refuse. */
export class MessageMemory implements RemoteMemory {
  /** All that the device asked for, in order. */
  readonly log: Exchange[] = [];
  /** Answers wait for {@link MessageMemory.release}. */
  hold = false;
  /** The client refuses what this says. */
  refuse: (exchange: Exchange) => boolean = () => false;
  readonly #bytes: Uint8Array;
  readonly #held: (() => void)[] = [];
  #pending = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Messages without an answer. */
  get pending(): number {
    return this.#pending;
  }

  read(iova: bigint, into: Uint8Array): Promise<void> {
    const at = Number(iova) - IOVA;
    return this.#exchange({ access: "read", at, length: into.length }, () =>
      into.set(this.#bytes.subarray(at, at + into.length)),
    );
  }

  write(iova: bigint, from: Uint8Array): Promise<void> {
    const at = Number(iova) - IOVA;
    return this.#exchange({ access: "write", at, length: from.length }, () =>
      this.#bytes.set(from, at),
    );
  }

  /** Answers what was held back, in order. */
  release(count: number = this.#held.length): void {
    for (const answer of this.#held.splice(0, count)) answer();
  }

  async #exchange(exchange: Exchange, copy: () => void): Promise<void> {
    this.log.push(exchange);
    this.#pending++;
    try {
      if (this.hold) await new Promise<void>((resolve) => this.#held.push(resolve));
      else await turn();
      if (this.refuse(exchange))
        throw new VfmigError("ERR_VFMIG_GUEST_ADDRESS", "refused", { layer: "core" });
      copy();
    } finally {
      this.#pending--;
    }
  }
}

/** Takes the memory's file away from a running rig: from now on only messages reach `[from, to)` of it. */
export function withoutFile(rig: Rig, from = 0, to: number = rig.memory.length): MessageMemory {
  const size = rig.memory.length;
  void rig.device.unmapDma({ iova: BigInt(IOVA), size: BigInt(size) });
  const remote = new MessageMemory(rig.memory);
  const map = (first: number, end: number, mapping: object): void => {
    if (first === end) return;
    const range = { iova: BigInt(IOVA + first), size: BigInt(end - first) };
    void rig.device.mapDma({ ...range, read: true, write: true, ...mapping });
  };
  map(0, from, { memory: { bytes: rig.memory.subarray(0, from) } });
  map(from, to, { remote });
  map(to, size, { memory: { bytes: rig.memory.subarray(to) } });
  return remote;
}

/** Lets the device and the messages run until all stands still, or everything waits for a release. */
export async function settled(rig: Rig, memory: MessageMemory): Promise<void> {
  for (let quiet = 0; quiet < 4;) {
    const before = memory.log.length;
    rig.clock.runSoon();
    await turn();
    const still = before === memory.log.length && (memory.hold || memory.pending === 0);
    quiet = still ? quiet + 1 : 0;
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
