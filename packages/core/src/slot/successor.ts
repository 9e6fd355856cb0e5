import type { DmaMapping, IovaRange } from "../device/dma.ts";
import type { IrqRequest } from "../device/irqs.ts";
import type { VfioDevice } from "../device/vfio-device.ts";

/**
 * The device that is about to take another's place: gets what the user does meanwhile. What it cannot do
 * is kept, and fails the replacement, never the user.
 */
export class Successor {
  readonly device: VfioDevice;
  /** True once it was given the user's interrupts. */
  hasIrqs = false;
  #work: Promise<void> = Promise.resolve();
  #failure: { readonly error: unknown } | undefined;

  constructor(device: VfioDevice) {
    this.device = device;
  }

  map(mapping: DmaMapping): void {
    void this.#then(() => this.device.mapDma(mapping));
  }

  /** Settles when the device has let go of the range; false where nobody knows. */
  async unmap(range: IovaRange): Promise<boolean> {
    await this.#then(() => this.device.unmapDma(range));
    return this.#failure === undefined;
  }

  setIrqs(request: IrqRequest): void {
    if (!this.hasIrqs) return;
    try {
      this.device.setIrqs(request);
    } catch (error) {
      this.#failure ??= { error };
    }
  }

  /** Settles when all of it is done; rejects with the first thing that failed. */
  async caughtUp(): Promise<void> {
    await this.#work;
    this.check();
  }

  /** Throws the first thing that failed. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** In the order of the user's calls; after a failure nothing more is tried. */
  #then(work: () => void | Promise<void>): Promise<void> {
    this.#work = this.#after(this.#work, work);
    return this.#work;
  }

  async #after(before: Promise<void>, work: () => void | Promise<void>): Promise<void> {
    await before;
    if (this.#failure !== undefined) return;
    try {
      await work();
    } catch (error) {
      this.#failure = { error };
    }
  }
}
