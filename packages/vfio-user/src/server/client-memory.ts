import { VfmigError } from "@vfmig/core";
import type { IovaRange, RemoteMemory } from "@vfmig/core";
import { COMMAND } from "../codec/commands.ts";
import { describeRange } from "../codec/dma.ts";
import { DMA_ACCESS, QEMU_10_2_DMA_DATA } from "../codec/dma-access.ts";
import { readU64 } from "../codec/wire.ts";
import { malformed, type ClientCalls } from "./client-calls.ts";

export interface ClientMemoryOptions {
  readonly calls: ClientCalls;
  /** Most data in one message, in bytes. */
  readonly maxData: () => number;
  /** The client has the data of DMA messages 4 bytes early. */
  readonly misplacedData: boolean;
}

/** One mapping of the client that only messages reach. */
export class ClientMemory implements RemoteMemory {
  readonly #options: ClientMemoryOptions;
  readonly #range: IovaRange;
  readonly #allows: { readonly read: boolean; readonly write: boolean };
  #mapped = true;

  constructor(
    options: ClientMemoryOptions,
    range: IovaRange,
    allows: { readonly read: boolean; readonly write: boolean },
  ) {
    this.#options = options;
    this.#range = { iova: range.iova, size: range.size };
    this.#allows = { read: allows.read, write: allows.write };
  }

  /** From now on every access is refused. */
  unmap(): void {
    this.#mapped = false;
  }

  /** Fills `into`; in several messages where it is larger than one. */
  async read(iova: bigint, into: Uint8Array): Promise<void> {
    this.#check(iova, into.length, "read");
    const { calls, misplacedData } = this.#options;
    const dataAt = misplacedData ? QEMU_10_2_DMA_DATA : DMA_ACCESS.DATA;
    await this.#inPieces(iova, into, (at, piece) =>
      calls.read(at, piece.length, (payload) => {
        checkReadReply(payload, piece.length, misplacedData);
        piece.set(payload.subarray(dataAt, dataAt + piece.length));
      }),
    );
  }

  /** `from` must not change until this settles. */
  async write(iova: bigint, from: Uint8Array): Promise<void> {
    this.#check(iova, from.length, "write");
    const { calls, misplacedData } = this.#options;
    const dataAt = misplacedData ? QEMU_10_2_DMA_DATA : DMA_ACCESS.DATA;
    await this.#inPieces(iova, from, (at, piece) => calls.write(at, piece, dataAt));
  }

  async #inPieces(
    iova: bigint,
    bytes: Uint8Array,
    exchange: (at: bigint, piece: Uint8Array) => Promise<void>,
  ): Promise<void> {
    const step = this.#options.maxData();
    const answers: Promise<void>[] = [];
    for (let at = 0; at < bytes.length; at += step) {
      answers.push(exchange(iova + BigInt(at), bytes.subarray(at, at + step)));
    }
    // All have settled before this does: the buffer is the caller's again then, also after a failure.
    const results = await Promise.allSettled(answers);
    for (const result of results) if (result.status === "rejected") throw result.reason;
  }

  #check(iova: bigint, length: number, access: "read" | "write"): void {
    const { iova: start, size } = this.#range;
    const inside = iova >= start && iova + BigInt(length) <= start + size;
    const why = !this.#mapped
      ? "it was unmapped"
      : !inside
        ? "the access is not inside"
        : this.#allows[access]
          ? undefined
          : `it does not allow a ${access}`;
    if (why === undefined) return;
    throw new VfmigError(
      "ERR_VFMIG_GUEST_ADDRESS",
      `vfio-user: cannot ${access} ${length} bytes at 0x${iova.toString(16)} of the mapping ${describeRange(this.#range)}: ${why}`,
      { layer: "vfio-user", details: { iova, length, access, errno: "EFAULT" } },
    );
  }
}

/** @throws VfmigError `ERR_VFMIG_VFIO_USER_PROTOCOL` */
function checkReadReply(payload: Uint8Array, count: number, misplacedData: boolean): void {
  if (payload.length !== DMA_ACCESS.BYTES + count) {
    throw malformed(
      COMMAND.DMA_READ,
      `its payload has ${payload.length} bytes for ${count} of data`,
    );
  }
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const low = view.getUint32(DMA_ACCESS.COUNT, true);
  const answered = misplacedData ? low : readU64(view, DMA_ACCESS.COUNT);
  if (answered === count) return;
  const hint =
    low === count
      ? '; QEMU up to 10.2 answers so: serve it with clientQuirks: ["qemu-10.2-dma"]'
      : "";
  throw malformed(COMMAND.DMA_READ, `it counts ${answered} bytes instead of ${count}${hint}`);
}
