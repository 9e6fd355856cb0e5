import { PeerGone, type LineSocket } from "./line-socket.ts";

export interface QmpEvent {
  readonly event: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

/** QEMU's machine protocol: one command at a time, events kept. */
export class Qmp {
  readonly events: QmpEvent[] = [];
  readonly #line: LineSocket;
  readonly #greeting = Promise.withResolvers<void>();
  #pending: { resolve: (value: unknown) => void; reject: (error: Error) => void } | undefined;
  #onEvent: (() => void) | undefined;

  constructor(line: LineSocket) {
    this.#line = line;
    line.onLine((text) => this.#receive(JSON.parse(text) as QmpLine));
    line.onClose(() => this.#pending?.reject(new PeerGone("QEMU is gone")));
  }

  /** Waits for the greeting and leaves negotiation. */
  async open(): Promise<void> {
    await this.#greeting.promise;
    await this.ask("qmp_capabilities");
  }

  ask(execute: string, words: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#pending = { resolve, reject };
      this.#line.send(JSON.stringify({ execute, arguments: words }));
    });
  }

  /** A command of the human monitor; returns what it prints. */
  async human(line: string): Promise<string> {
    return String(await this.ask("human-monitor-command", { "command-line": line }));
  }

  /** Waits until an event of that name is there, also one that came before. */
  async event(name: string): Promise<QmpEvent> {
    for (;;) {
      const found = this.events.find(({ event }) => event === name);
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => (this.#onEvent = resolve));
    }
  }

  #receive(line: QmpLine): void {
    if (line.QMP !== undefined) this.#greeting.resolve();
    else if (line.event !== undefined) {
      this.events.push({ event: line.event, ...(line.data && { data: line.data }) });
      this.#onEvent?.();
    } else {
      const pending = this.#pending;
      this.#pending = undefined;
      if (line.error === undefined) pending?.resolve(line.return);
      else pending?.reject(new Error(`QEMU refused: ${line.error.desc}`));
    }
  }
}

interface QmpLine {
  readonly QMP?: unknown;
  readonly event?: string;
  readonly data?: Readonly<Record<string, unknown>>;
  readonly return?: unknown;
  readonly error?: { readonly desc: string };
}
