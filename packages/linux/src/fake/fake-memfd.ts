import { checkPart } from "../checks.ts";
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

/** A stretch of a fake memfd, as its mapping and every part of that has one. */
class FakeWindow {
  readonly #memfd: FakeMemfd;
  #bytes: Uint8Array;
  #live = true;

  constructor(memfd: FakeMemfd, offset: number, size: number) {
    this.#memfd = memfd;
    this.#bytes = memfd.view(offset, size);
  }

  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** False where it was closed before. */
  close(): boolean {
    if (!this.#live) return false;
    this.#live = false;
    this.#bytes = NOTHING;
    this.#memfd.unview();
    return true;
  }
}

export class FakeMapping implements MappedMemory {
  readonly address: bigint;
  readonly fd: number;
  readonly fdOffset: bigint;
  readonly #memfd: FakeMemfd;
  readonly #descriptors: Descriptors;
  readonly #window: FakeWindow;
  readonly #parts = new Set<FakePart>();

  /** @param address Pretended; nothing can be reached by it. */
  constructor(
    descriptors: Descriptors,
    memfd: FakeMemfd,
    range: { readonly offset: bigint; readonly size: number; readonly address: bigint },
  ) {
    this.#descriptors = descriptors;
    this.#memfd = memfd;
    this.#window = new FakeWindow(memfd, Number(range.offset), range.size);
    this.fd = descriptors.open(memfd);
    this.fdOffset = range.offset;
    this.address = range.address;
  }

  get bytes(): Uint8Array {
    return this.#window.bytes;
  }

  part(offset: number, size: number): MappedMemory {
    checkPart(this.bytes.length, offset, size);
    const window = new FakeWindow(this.#memfd, Number(this.fdOffset) + offset, size);
    const part = new FakePart(this, window, offset, () => this.#parts.delete(part));
    this.#parts.add(part);
    return part;
  }

  [Symbol.dispose](): void {
    if (!this.#window.close()) return;
    for (const part of this.#parts) part[Symbol.dispose]();
    this.#descriptors.close(this.fd);
  }
}

class FakePart implements MappedMemory {
  readonly address: bigint;
  readonly fd: number;
  readonly fdOffset: bigint;
  readonly #whole: FakeMapping;
  readonly #window: FakeWindow;
  readonly #offset: number;
  readonly #ended: () => void;

  constructor(whole: FakeMapping, window: FakeWindow, offset: number, ended: () => void) {
    this.address = whole.address + BigInt(offset);
    this.fd = whole.fd;
    this.fdOffset = whole.fdOffset + BigInt(offset);
    this.#whole = whole;
    this.#window = window;
    this.#offset = offset;
    this.#ended = ended;
  }

  get bytes(): Uint8Array {
    return this.#window.bytes;
  }

  part(offset: number, size: number): MappedMemory {
    checkPart(this.bytes.length, offset, size);
    return this.#whole.part(this.#offset + offset, size);
  }

  [Symbol.dispose](): void {
    if (this.#window.close()) this.#ended();
  }
}
