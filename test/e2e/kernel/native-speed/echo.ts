import { parseMac } from "@vfmig/testkit/traffic";
import type { NativeIo, Watch } from "@vfmig/linux";

/** Local experimental Ethertype 1 of IEEE 802: nobody else speaks it. */
const ETHERTYPE = 0x88b5;
const MIN_BYTES = 60;
const MAX_BYTES = 1514;
const ETHERTYPE_AT = 12;
const NUMBER_AT = 14;

/** Gives back each frame of ours that comes out of a TAP interface, to its sender. */
export class Echo implements Disposable {
  readonly #io: NativeIo;
  readonly #fd: number;
  readonly #watch: Watch;
  readonly #frame = Buffer.alloc(MAX_BYTES);
  /** Frames given back. */
  returned = 0;

  constructor(io: NativeIo, tap: string) {
    this.#io = io;
    this.#fd = io.openTap(tap).fd;
    this.#watch = io.watch(this.#fd, () => this.#giveBack());
  }

  [Symbol.dispose](): void {
    this.#watch[Symbol.dispose]();
    this.#io.close(this.#fd);
  }

  #giveBack(): void {
    const frame = this.#frame;
    for (;;) {
      const length = this.#io.read(this.#fd, frame, 0, frame.length);
      if (length <= 0) return;
      if (!isOurs(frame.subarray(0, length))) continue;
      const sender = frame.subarray(6, 12).toString("latin1");
      frame.copyWithin(6, 0, 6);
      frame.write(sender, 0, "latin1");
      if (this.#io.write(this.#fd, frame, 0, length) === length) this.returned += 1;
    }
  }
}

export function makeFrame(from: string, to: string, bytes = MIN_BYTES): Buffer {
  const frame = Buffer.alloc(bytes);
  frame.set(parseMac(to), 0);
  frame.set(parseMac(from), 6);
  frame.writeUInt16BE(ETHERTYPE, ETHERTYPE_AT);
  return frame;
}

export function setNumber(frame: Buffer, number: number): void {
  frame.writeUInt32BE(number, NUMBER_AT);
}

/** The number in one of our frames; undefined for any other. */
export function numberOf(bytes: Uint8Array): number | undefined {
  const frame = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  return isOurs(frame) ? frame.readUInt32BE(NUMBER_AT) : undefined;
}

function isOurs(frame: Buffer): boolean {
  return frame.length >= MIN_BYTES && frame.readUInt16BE(ETHERTYPE_AT) === ETHERTYPE;
}
