import { PCI_IRQ, type IrqInfo } from "../device/info.ts";
import type { IrqEvent, IrqRequest } from "../device/irqs.ts";
import type { Layer } from "../errors/vfmig-error.ts";
import { checkIrqRequest, irqError, isIrqDisable } from "./check-irq-request.ts";

interface Index {
  readonly info: IrqInfo;
  /** One place for each enabled vector; empty while the index is disabled. */
  events: (IrqEvent | undefined)[];
  readonly masked: Set<number>;
  readonly pending: Set<number>;
}

export interface IrqVectorsOptions {
  /** INTx, MSI and MSI-X exclude each other; for devices whose info says `pci`. */
  readonly pci: boolean;
  /** Who refuses a request; default `core`. */
  readonly layer?: Layer;
}

/**
 * What a user has set with `SET_IRQS`: its events, index by index. Keeps the rules that depend on
 * earlier requests, so that a model, a base and a composed device all answer alike.
 */
export class IrqVectors {
  readonly #infos: readonly IrqInfo[];
  readonly #indexes: readonly Index[];
  readonly #pci: boolean;
  readonly #layer: Layer;

  constructor(irqs: readonly IrqInfo[], options: IrqVectorsOptions) {
    this.#infos = irqs;
    this.#pci = options.pci;
    this.#layer = options.layer ?? "core";
    this.#indexes = irqs.map((info) => ({
      info,
      events: [],
      masked: new Set(),
      pending: new Set(),
    }));
  }

  /**
   * Refuses what {@link IrqVectors.apply} would refuse, and changes nothing.
   * @throws VfmigError `ERR_VFMIG_IRQ_REQUEST`
   */
  check(request: IrqRequest): void {
    checkIrqRequest(this.#infos, request, this.#layer);
    const index = this.#indexes[request.index];
    if (index === undefined || request.action !== "trigger" || isIrqDisable(request)) return;
    if (request.data.kind !== "event") {
      if (request.start + request.count <= index.events.length) return;
      throw this.#refuse(request, "these vectors are not enabled, so there is nothing to fire");
    }
    const rival = this.#activeRival(request.index);
    if (index.events.length === 0 && rival !== undefined) {
      throw this.#refuse(request, `index ${rival} is enabled; disable it first`);
    }
    const grows = request.start + request.count > index.events.length;
    if (index.info.noResize && index.events.length > 0 && grows) {
      throw this.#refuse(request, "this index grows only by being disabled and enabled again");
    }
  }

  /**
   * Takes a request: keeps its events, or fires, masks and unmasks.
   * @throws VfmigError `ERR_VFMIG_IRQ_REQUEST`
   */
  apply(request: IrqRequest): void {
    this.check(request);
    const index = this.#indexes[request.index];
    if (index === undefined) return;
    if (isIrqDisable(request)) return this.#disable(index);
    const { start, count, action, data } = request;
    if (data.kind === "event") {
      // An event for unmasking belongs to whoever can wait for it: a kernel, never this table.
      if (action !== "trigger") return;
      while (index.events.length < start + count) index.events.push(undefined);
      for (let i = 0; i < count; i++) index.events[start + i] = data.events[i];
      return;
    }
    for (let i = 0; i < count; i++) {
      if (data.kind === "bool" && data.values[i] === 0) continue;
      if (action === "trigger") index.events[start + i]?.signal();
      else if (action === "mask") index.masked.add(start + i);
      else this.#unmask(index, start + i);
    }
  }

  /** Vectors that the user has enabled at `index`; 0 while it is disabled. */
  enabled(index: number): number {
    return this.#indexes[index]?.events.length ?? 0;
  }

  /** The user's event for a vector; undefined where it set none. */
  event(index: number, vector: number): IrqEvent | undefined {
    return this.#indexes[index]?.events[vector];
  }

  /** The events of an index as they are now, for {@link IrqVectors.restore}. */
  snapshot(index: number): readonly (IrqEvent | undefined)[] {
    return [...(this.#indexes[index]?.events ?? [])];
  }

  /** Puts back the events of an index, after a layer beneath refused a request. */
  restore(index: number, events: readonly (IrqEvent | undefined)[]): void {
    const at = this.#indexes[index];
    if (at !== undefined) at.events = [...events];
  }

  /**
   * Raises a vector as the device would: keeps it pending while masked, and masks an automasked one.
   * Returns false where nobody listens.
   */
  signal(index: number, vector: number): boolean {
    const at = this.#indexes[index];
    const event = at?.events[vector];
    if (at === undefined || event === undefined) return false;
    if (at.masked.has(vector)) {
      at.pending.add(vector);
      return true;
    }
    if (at.info.automasked) at.masked.add(vector);
    event.signal();
    return true;
  }

  /** Disables every index, as a device does that loses its user. */
  clear(): void {
    for (const index of this.#indexes) this.#disable(index);
  }

  #disable(index: Index): void {
    index.events = [];
    index.masked.clear();
    index.pending.clear();
  }

  #unmask(index: Index, vector: number): void {
    index.masked.delete(vector);
    if (!index.pending.delete(vector)) return;
    this.signal(index.info.index, vector);
  }

  /** The enabled index that excludes `index`, if there is one. */
  #activeRival(index: number): number | undefined {
    if (!this.#pci || index > PCI_IRQ.MSIX) return undefined;
    return [PCI_IRQ.INTX, PCI_IRQ.MSI, PCI_IRQ.MSIX].find(
      (other) => other !== index && this.enabled(other) > 0,
    );
  }

  #refuse(request: IrqRequest, why: string): Error {
    return irqError(request, why, this.#layer);
  }
}

/** An empty table of a user's interrupt events. */
export function createIrqVectors(irqs: readonly IrqInfo[], options: IrqVectorsOptions): IrqVectors {
  return new IrqVectors(irqs, options);
}
