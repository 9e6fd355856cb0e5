import { announce, type OpenFile } from "./open-file.ts";

export class FakeEventfd implements OpenFile {
  readonly kind: OpenFile["kind"] = "eventfd";
  readonly size = 0n;
  readonly shrinkSealed = false;
  readonly changed: Set<() => void> = new Set();
  #counter = 0;

  readable(): boolean {
    return this.#counter > 0;
  }

  writable(): boolean {
    return true;
  }

  closed(): void {}

  signal(): void {
    if (this.#counter < Number.MAX_SAFE_INTEGER) this.#counter++;
    announce(this);
  }

  drain(): number {
    const counter = this.#counter;
    this.#counter = 0;
    return counter;
  }
}
