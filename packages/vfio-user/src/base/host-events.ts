import {
  createIrqVectors,
  PCI_IRQ,
  VfmigError,
  type IrqInfo,
  type IrqRequest,
  type IrqVectors,
  type Logger,
} from "@vfmig/core";
import type { NativeIo, Watch } from "@vfmig/linux";

export interface HostEventsParts {
  readonly io: NativeIo;
  /** The device's name, for the log. */
  readonly device: string;
  readonly irqs: readonly IrqInfo[];
  /** One that a server cannot flood. */
  readonly logger: Logger;
  /** The server's side wants the device back; `count` rises with urgency. */
  readonly onRequest?: ((count: number) => void) | undefined;
  /** Asks the server. */
  readonly set: (request: IrqRequest) => Promise<void>;
}

interface Armed {
  readonly fd: number;
  readonly watch: Watch;
  count: number;
}

/** What a server may answer where it does not offer what its irq information says. */
const REFUSALS: readonly string[] = [
  "ERR_VFMIG_VFIO_USER_REMOTE",
  "ERR_VFMIG_VFIO_USER_UNSUPPORTED",
];

/**
 * The ERR and REQ events of a remote device. They always come here first, so that this side's host hears
 * of them whether or not the user listens, and go on to the event that the user has set.
 */
export class HostEvents {
  readonly #parts: HostEventsParts;
  readonly #user: IrqVectors;
  readonly #armed = new Map<number, Armed>();

  private constructor(parts: HostEventsParts) {
    this.#parts = parts;
    this.#user = createIrqVectors(parts.irqs, { pci: true, layer: "base" });
  }

  /**
   * Gives the server an event for each of the two that the device has. One that it refuses stays the
   * user's to ask for.
   * @throws VfmigError where the connection ends meanwhile
   */
  static async arm(parts: HostEventsParts): Promise<HostEvents> {
    const events = new HostEvents(parts);
    try {
      for (const index of [PCI_IRQ.ERR, PCI_IRQ.REQ]) await events.#arm(index);
    } catch (error) {
      events.close();
      throw error;
    }
    return events;
  }

  /** True for an index whose events come here. */
  has(index: number): boolean {
    return this.#armed.has(index);
  }

  /**
   * A user's request for one of them: its event, or a signal to it, stays on this side.
   * @throws VfmigError `ERR_VFMIG_IRQ_REQUEST`
   */
  set(request: IrqRequest): void {
    this.#user.apply(request);
  }

  close(): void {
    for (const { fd, watch } of this.#armed.values()) {
      watch[Symbol.dispose]();
      this.#parts.io.close(fd);
    }
    this.#armed.clear();
    this.#user.clear();
  }

  async #arm(index: number): Promise<void> {
    const { io, irqs, set, logger, device } = this.#parts;
    const info = irqs[index];
    if (info === undefined || info.count !== 1 || !info.eventfd) return;
    const fd = io.eventfd();
    const data = { kind: "event", events: [{ fd, signal: () => io.signalEventfd(fd) }] } as const;
    try {
      await set({ index, start: 0, count: 1, action: "trigger", data });
      const watch = io.watch(fd, () => this.#signalled(index));
      this.#armed.set(index, { fd, watch, count: 0 });
    } catch (error) {
      io.close(fd);
      if (!VfmigError.is(error) || !REFUSALS.includes(error.code)) throw error;
      logger.warn(
        `${device}: its server tells of irq index ${index} and refuses an event for it: ${error.message}`,
        { device, index },
      );
    }
  }

  #signalled(index: number): void {
    const armed = this.#armed.get(index);
    if (armed === undefined || this.#parts.io.drainEventfd(armed.fd) === 0) return;
    armed.count += 1;
    const { logger, device, onRequest } = this.#parts;
    const details = { device, times: armed.count };
    if (index === PCI_IRQ.REQ) {
      logger.warn(
        `The host of the server behind ${device} wants its device back. Close ${device} here; that host waits.`,
        details,
      );
      onRequest?.(armed.count);
    } else {
      logger.error(
        `The device behind ${device} reported an error that it cannot recover from. Stop its guest and reset it; the log of its server has the details.`,
        details,
      );
    }
    this.#user.signal(index, 0);
  }
}
