import { IRQ_TYPE, type IrqInfo } from "../device/info.ts";
import type { IrqRequest } from "../device/irqs.ts";
import { IrqVectors } from "../irqs/irq-vectors.ts";

/**
 * The irq index by which a device asks its user to fetch the mmap layouts again: one vector, one way,
 * and nothing to read from its count. A user answers by what it asks and says, never through the event.
 */
export class LayoutIrq {
  readonly info: IrqInfo;
  readonly #vectors: IrqVectors;

  /** @param irqs - the indexes before it */
  constructor(irqs: readonly IrqInfo[]) {
    this.info = {
      index: irqs.length,
      count: 1,
      eventfd: true,
      maskable: false,
      automasked: false,
      noResize: false,
      type: IRQ_TYPE.LAYOUT,
    };
    this.#vectors = new IrqVectors([...irqs, this.info], { pci: false });
  }

  /** True while a user has set its event. */
  get listening(): boolean {
    return this.#vectors.event(this.info.index, 0) !== undefined;
  }

  /** @throws VfmigError `ERR_VFMIG_IRQ_REQUEST` */
  set(request: IrqRequest): void {
    this.#vectors.apply(request);
  }

  signal(): void {
    this.#vectors.signal(this.info.index, 0);
  }

  close(): void {
    this.#vectors.clear();
  }
}
