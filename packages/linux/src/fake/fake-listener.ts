import { announce, type OpenFile } from "./open-file.ts";
import { FakeStream, type FileHolder } from "./fake-stream.ts";

export class FakeListener implements OpenFile {
  readonly kind: OpenFile["kind"] = "socket";
  readonly size = 0n;
  readonly shrinkSealed = false;
  readonly changed: Set<() => void> = new Set();
  readonly #holder: FileHolder;
  readonly #onClosed: () => void;
  readonly #waiting: FakeStream[] = [];
  #ended = false;

  constructor(holder: FileHolder, onClosed: () => void) {
    this.#holder = holder;
    this.#onClosed = onClosed;
  }

  get ended(): boolean {
    return this.#ended;
  }

  readable(): boolean {
    return this.#waiting.length > 0 || this.#ended;
  }

  writable(): boolean {
    return false;
  }

  /** The client's end of a connection whose other end waits to be accepted. */
  connect(): FakeStream {
    const [client, server] = FakeStream.pair(this.#holder);
    this.#holder.hold(server);
    this.#waiting.push(server);
    announce(this);
    return client;
  }

  accept(): FakeStream | undefined {
    return this.#waiting.shift();
  }

  end(): void {
    this.#ended = true;
    announce(this);
  }

  closed(): void {
    this.#onClosed();
    for (const server of this.#waiting.splice(0)) this.#holder.release(server);
  }
}
