import type { MappedMemory } from "../native-io.ts";
import type { Descriptors } from "./descriptors.ts";
import type { OpenFile } from "./open-file.ts";

const NOTHING = new Uint8Array(0);

export class FakeMemfd implements OpenFile {
  readonly kind: OpenFile["kind"] = "memfd";
  readonly size: bigint;
  readonly shrinkSealed = true;
  readonly changed: Set<() => void> = new Set();
  #buffer: ArrayBuffer;
  #mappings = 0;

  /** @param pageSize The memory is whole pages, as a mapping of the last one reaches past the end. */
  constructor(size: number, pageSize: number) {
    this.size = BigInt(size);
    this.#buffer = new ArrayBuffer(Math.ceil(size / pageSize) * pageSize);
  }

  readable(): boolean {
    return true;
  }

  writable(): boolean {
    return true;
  }

  closed(): void {}

  view(offset: number, size: number): Uint8Array {
    this.#mappings++;
    return new Uint8Array(this.#buffer, offset, size);
  }

  /** Detaches the views of the last mapping; while there are others, views cannot be told apart. */
  unview(): void {
    this.#mappings--;
    if (this.#mappings === 0) this.#buffer = this.#buffer.transfer();
  }
}

export class FakeMapping implements MappedMemory {
  readonly address: bigint;
  readonly fd: number;
  readonly fdOffset: bigint;
  readonly #memfd: FakeMemfd;
  readonly #descriptors: Descriptors;
  #bytes: Uint8Array;
  #mapped = true;

  /** @param address Pretended; nothing can be reached by it. */
  constructor(
    descriptors: Descriptors,
    memfd: FakeMemfd,
    range: { readonly offset: bigint; readonly size: number; readonly address: bigint },
  ) {
    this.#descriptors = descriptors;
    this.#memfd = memfd;
    this.#bytes = memfd.view(Number(range.offset), range.size);
    this.fd = descriptors.open(memfd);
    this.fdOffset = range.offset;
    this.address = range.address;
  }

  get bytes(): Uint8Array {
    return this.#bytes;
  }

  [Symbol.dispose](): void {
    if (!this.#mapped) return;
    this.#mapped = false;
    this.#bytes = NOTHING;
    this.#memfd.unview();
    this.#descriptors.close(this.fd);
  }
}
