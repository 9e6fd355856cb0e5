import { VfmigError } from "@vfmig/core";
import type { Logger } from "@vfmig/core";
import type { MappedMemory } from "@vfmig/linux";
import { DMA_ACCESS, QEMU_10_2_DMA_DATA } from "../codec/dma-access.ts";
import { ERRNO } from "../codec/errno.ts";
import type { ClientCalls } from "./client-calls.ts";

const PAGE = 4096;
/** A difference must stand still this many times: a guest writes while it is looked at. */
const ROUNDS = 3;
/** Pages that say nothing (all zeros, or no answer) before the question is dropped. */
const MAX_TRIES = 256;

export interface SharingCheckOptions {
  readonly calls: ClientCalls;
  readonly logger: Logger;
  readonly misplacedData: boolean;
  /** The guest runs on other memory than it gave us. */
  readonly onPrivate: (error: VfmigError) => void;
}

type Verdict = "shared" | "private" | "unclear" | "unknowable";
/** One look at a page: what the client says, between two reads of the mapping that were alike. */
interface Look {
  readonly ours: Uint8Array;
  readonly client: Uint8Array;
}

/**
 * Notices a guest whose memory is private (`share=off`): its VMM still sends the file, but the guest runs
 * on a copy of it, and the device would read what nobody wrote. Compares the page that the device reaches
 * for first with the same page by message, until one with contents has answered.
 */
export class SharingCheck {
  readonly #options: SharingCheckOptions;
  #tries = 0;
  #busy = false;
  #done: boolean;

  constructor(options: SharingCheckOptions) {
    this.#options = options;
    this.#done = true;
  }

  /** Begins to look; before, every use counts as fine. */
  enable(): void {
    this.#done = false;
  }

  /** The device uses `memory` at `offset`, which is IOVA `iova`. True where nothing is left to find out. */
  onUse(memory: MappedMemory, offset: number, iova: number): boolean {
    if (this.#done) return true;
    if (this.#busy) return false;
    this.#busy = true;
    void this.#look(memory, Math.floor(offset / PAGE) * PAGE, Math.floor(iova / PAGE) * PAGE);
    return false;
  }

  async #look(memory: MappedMemory, offset: number, iova: number): Promise<void> {
    const verdict = await this.#compare(memory, offset, iova).catch((error: unknown): Verdict => {
      this.#options.logger.debug("vfio-user: whether guest memory is shared stays open", { error });
      // A client that takes no DMA messages is not asked twice; one that refuses an address may be.
      return isRefusal(error) ? "unclear" : "unknowable";
    });
    this.#busy = false;
    this.#tries += 1;
    if (verdict !== "unclear" || this.#tries >= MAX_TRIES) this.#done = true;
    if (verdict === "private") this.#options.onPrivate(privateMemory(iova));
  }

  async #compare(memory: MappedMemory, offset: number, iova: number): Promise<Verdict> {
    let earlier: Look | undefined;
    for (let round = 0; round < ROUNDS; round += 1) {
      const ours = memory.bytes.slice(offset, offset + PAGE);
      const payload = await this.#options.calls.readRaw(BigInt(iova), PAGE);
      const after = memory.bytes.subarray(offset, offset + PAGE);
      if (ours.length !== PAGE || after.length !== PAGE) return "unclear";
      const client = this.#dataOf(payload, ours);
      if (client === undefined || client.every((byte) => byte === 0)) {
        // Zeros are what a private copy hides and what fresh memory has.
        if (client === undefined || ours.every((byte) => byte === 0)) return "unclear";
      }
      if (equal(ours, client)) return "shared";
      const look = stable(ours, after, client, earlier);
      if (look === undefined) return "unclear";
      earlier = look;
    }
    return "private";
  }

  /** The data of a reply; noticed where they stand as QEMU up to 10.2 puts them. */
  #dataOf(payload: Uint8Array, ours: Uint8Array): Uint8Array | undefined {
    if (payload.length !== DMA_ACCESS.BYTES + PAGE) return undefined;
    const early = payload.subarray(QEMU_10_2_DMA_DATA, QEMU_10_2_DMA_DATA + PAGE);
    const right = payload.subarray(DMA_ACCESS.DATA);
    if (this.#options.misplacedData) return early;
    if (equal(early, right) || !equal(early, ours)) return right;
    this.#options.logger.warn(
      'vfio-user: the client answers DMA messages as QEMU up to 10.2 does, with the data 4 bytes early. Memory that it shares works; for memory without fd serve it with clientQuirks: ["qemu-10.2-dma"]',
    );
    return early;
  }
}

/**
 * The bytes that differ now as they did in the look before, of those that stood still in the mapping.
 * Undefined where none does: then it was the guest that wrote.
 */
function stable(
  ours: Uint8Array,
  after: Uint8Array,
  client: Uint8Array,
  earlier: Look | undefined,
): Look | undefined {
  for (let i = 0; i < PAGE; i += 1) {
    if (ours[i] !== after[i] || ours[i] === client[i]) continue;
    if (earlier === undefined) return { ours, client };
    const same = earlier.ours[i] === ours[i] && earlier.client[i] === client[i];
    if (same) return { ours, client };
  }
  return undefined;
}

function isRefusal(error: unknown): boolean {
  return (
    VfmigError.is(error) &&
    error.code === "ERR_VFMIG_VFIO_USER_REMOTE" &&
    error.details["errno"] !== ERRNO.ENOSYS &&
    error.details["errno"] !== ERRNO.EOPNOTSUPP
  );
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

function privateMemory(iova: number): VfmigError {
  return new VfmigError(
    "ERR_VFMIG_VFIO_USER_PRIVATE_MEMORY",
    `vfio-user: the guest's memory is private: at address 0x${iova.toString(16)} the guest has other bytes than the file that its VMM sent, so the device would read what nobody wrote. Give the guest shared memory (QEMU: -object memory-backend-memfd,id=mem,size=...,share=on). Requests of this client are refused from now on.`,
    { layer: "vfio-user", details: { iova, errno: 5 } },
  );
}
