import type { PortLink } from "./link.ts";
import { OutstandingFrames } from "./sent-log.ts";

interface Ping {
  /** Frames numbered below were sent before it. */
  readonly before: number;
  readonly done: (() => void) | undefined;
}

/** One port as a wire keeps it: what is outstanding, and which pings wait for their answer. */
export class WireSide {
  readonly name: string;
  readonly link: PortLink;
  readonly outstanding: OutstandingFrames = new OutstandingFrames();
  /** The port has asked for frames to be held. */
  paused = false;
  readonly #pings = new Map<number, Ping>();
  #token = 0;
  #open = true;

  constructor(name: string, link: PortLink) {
    this.name = name;
    this.link = link;
  }

  /** Asks the port how far it is; `done` runs when it has handled everything sent so far, or is gone. */
  ping(done?: () => void): void {
    if (!this.#open) {
      done?.();
      return;
    }
    this.#token = (this.#token + 1) >>> 0;
    this.#pings.set(this.#token, { before: this.outstanding.next, done });
    this.link.ping(this.#token);
  }

  /** An answer that nobody asked for changes nothing. */
  pong(token: number): void {
    const ping = this.#pings.get(token);
    if (ping === undefined) return;
    this.#pings.delete(token);
    this.outstanding.handledUpTo(ping.before);
    ping.done?.();
  }

  closed(): void {
    this.#open = false;
    for (const { done } of this.#pings.values()) done?.();
    this.#pings.clear();
  }
}
