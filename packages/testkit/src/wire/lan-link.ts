import { type Clock, silentLogger } from "@vfmig/core";
import type { LinkListener, PortLink } from "./link.ts";
import type { WirePort } from "./port.ts";
import { openTapPort } from "./tap-port.ts";

/** A network that leads to every device at once, as a PF's own switch does: nobody moves its cable. */
export interface LanOptions {
  /** The TAP interface that is a part of it. */
  readonly tap: string;
  /** How long a frame may be under way, in milliseconds: it may still meet a device that stopped meanwhile. */
  readonly transitMs: number;
}

/** @throws VfmigError `ERR_VFMIG_WIRE_TAP` */
export function openLanLink({ tap, transitMs }: LanOptions, clock: Clock): PortLink {
  return new LanLink(openTapPort({ name: tap, clock, logger: silentLogger }), transitMs, clock);
}

/**
 * A wire's side of such a network. Nobody there says what became of a frame, so each one is noted as
 * "untold": whether it was lost is known from the guest alone, and whether on purpose from its time.
 */
export class LanLink implements PortLink {
  readonly #port: WirePort;
  readonly #transitMs: number;
  readonly #clock: Clock;
  #listener: LinkListener | undefined;

  constructor(port: WirePort, transitMs: number, clock: Clock) {
    this.#port = port;
    this.#transitMs = transitMs;
    this.#clock = clock;
  }

  listen(listener: LinkListener): void {
    this.#listener = listener;
    this.#port.attach((frame) => {
      listener.frame(frame);
      return "accepted";
    });
  }

  send(id: number, frame: Uint8Array): boolean {
    this.#port.transmit(frame);
    this.#listener?.verdict(id, "untold", this.#clock.now() + this.#transitMs);
    return true;
  }

  ping(token: number): void {
    this.#clock.after(this.#transitMs, () => this.#listener?.pong(token));
  }

  connect(): void {}

  close(): void {
    this.#port.close();
  }
}
