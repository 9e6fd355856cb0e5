import { PCI_IRQ, type IrqEvent, type IrqInfo, type IrqRequest, type Logger } from "@vfmig/core";
import type { NativeIo, Watch } from "@vfmig/linux";

/** What the kernel tells the device's user beside its interrupts. */
export interface HostEventListener {
  /** The host wants the device back; `count` rises with urgency. */
  onRequest?: ((count: number) => void) | undefined;
  /** The device reported an error that it cannot recover from (AER). */
  onError?: ((count: number) => void) | undefined;
}

const NAMES: ReadonlyMap<number, "error" | "request"> = new Map([
  [PCI_IRQ.ERR, "error"],
  [PCI_IRQ.REQ, "request"],
]);

/** True for the two indexes that are no interrupts of the device. */
export function isHostEvent(index: number, pci: boolean): boolean {
  return pci && NAMES.has(index);
}

interface Armed {
  readonly fd: number;
  readonly watch: Watch;
  count: number;
  user: IrqEvent | undefined;
}

/**
 * The ERR and REQ events. They always come here first, so that the host hears of them whether or not the
 * VMM listens, and go on to the VMM's event.
 */
export class HostEvents {
  readonly #io: NativeIo;
  readonly #device: string;
  readonly #logger: Logger;
  readonly #listener: HostEventListener;
  readonly #armed = new Map<number, Armed>();

  constructor(io: NativeIo, device: string, logger: Logger, listener: HostEventListener) {
    this.#io = io;
    this.#device = device;
    this.#logger = logger;
    this.#listener = listener;
  }

  /** Requests so far to give the device back, and errors that it reported. */
  get counts(): { readonly requests: number; readonly errors: number } {
    return {
      requests: this.#armed.get(PCI_IRQ.REQ)?.count ?? 0,
      errors: this.#armed.get(PCI_IRQ.ERR)?.count ?? 0,
    };
  }

  /** Gives the kernel an event for each of the two that the device has. */
  arm(irqs: readonly IrqInfo[], set: (index: number, fd: number) => void): void {
    for (const index of NAMES.keys()) {
      const info = irqs[index];
      if (info === undefined || info.count === 0 || !info.eventfd) continue;
      const fd = this.#io.eventfd();
      this.#armed.set(index, { fd, watch: this.#watch(fd, index), count: 0, user: undefined });
      set(index, fd);
    }
  }

  /** Takes the user's event in place of the kernel's. */
  set({ index, data, count }: IrqRequest): void {
    const armed = this.#armed.get(index);
    if (armed === undefined) return;
    if (data.kind === "event") armed.user = data.events[0];
    else if (count === 0) armed.user = undefined;
    else if (data.kind === "none" || data.values[0] !== 0) armed.user?.signal();
  }

  close(): void {
    for (const { fd, watch } of this.#armed.values()) {
      watch[Symbol.dispose]();
      this.#io.close(fd);
    }
    this.#armed.clear();
  }

  #watch(fd: number, index: number): Watch {
    try {
      return this.#io.watch(fd, () => this.#signalled(index));
    } catch (error) {
      this.#io.close(fd);
      throw error;
    }
  }

  #signalled(index: number): void {
    const armed = this.#armed.get(index);
    if (armed === undefined || this.#io.drainEventfd(armed.fd) === 0) return;
    armed.count += 1;
    if (NAMES.get(index) === "request") {
      this.#logger.warn(
        `The host wants ${this.#device} back: its driver is to be unbound, or it is to be unplugged. Close the device; the host waits.`,
        { device: this.#device, times: armed.count },
      );
      this.#listener.onRequest?.(armed.count);
    } else {
      this.#logger.error(
        `${this.#device} reported an error that it cannot recover from (PCIe AER). Stop its guest and reset it; the kernel's log has the details.`,
        { device: this.#device, times: armed.count },
      );
      this.#listener.onError?.(armed.count);
    }
    armed.user?.signal();
  }
}
