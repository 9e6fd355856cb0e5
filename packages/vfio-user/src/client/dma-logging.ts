import { VfmigError } from "@vfmig/core";
import type { DmaLoggingFacet, DmaLoggingStart, IovaRange } from "@vfmig/core";
import type { Channel } from "./channel.ts";
import { reportLogging, startLogging, stopLogging } from "./feature-operations.ts";

/** The dirty log of a device on the other side of a socket. */
export class RemoteDmaLogging implements DmaLoggingFacet {
  readonly #channel: Channel;
  readonly #bitmapLimit: number;

  /** `bitmapLimit`: largest bitmap of one reply, in bytes. */
  constructor(channel: Channel, bitmapLimit: number) {
    this.#channel = channel;
    this.#bitmapLimit = bitmapLimit;
  }

  start(request: DmaLoggingStart): Promise<number> {
    return this.#channel.call(startLogging(request));
  }

  stop(): Promise<void> {
    return this.#channel.call(stopLogging());
  }

  async report(range: IovaRange, pageSize: number, bitmap: Uint8Array): Promise<void> {
    const pages = (range.size + BigInt(pageSize) - 1n) / BigInt(pageSize);
    if (BigInt(bitmap.length) * 8n < pages) {
      throw new VfmigError(
        "ERR_VFMIG_DMA_LOGGING_REQUEST",
        `vfio-user: a bitmap of ${bitmap.length} bytes is too short for ${pages} pages`,
        { layer: "vfio-user", details: { bytes: bitmap.length, pages } },
      );
    }
    // Whole 64-bit words a message, so that each part begins at a byte of the bitmap.
    const wordBytes = Math.floor(this.#bitmapLimit / 8) * 8;
    const step = BigInt(wordBytes) * 8n * BigInt(pageSize);
    for (let done = 0n, byte = 0; done < range.size; done += step, byte += wordBytes) {
      const left = range.size - done;
      const part = { iova: range.iova + done, size: left < step ? left : step };
      await this.#channel.call(reportLogging(part, pageSize, bitmap.subarray(byte)));
    }
  }
}
