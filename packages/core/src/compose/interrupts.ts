import { PCI_IRQ, type IrqInfo } from "../device/info.ts";
import type { IrqEvent, IrqRequest } from "../device/irqs.ts";
import type { VfioDevice } from "../device/vfio-device.ts";
import { VfmigError } from "../errors/vfmig-error.ts";
import { isIrqDisable } from "../irqs/check-irq-request.ts";
import { IrqVectors } from "../irqs/irq-vectors.ts";
import type { Logger } from "../logger.ts";
import type { Interception } from "../sub-driver/context.ts";
import { baseError, type PluginGuard } from "./plugin-guard.ts";

/** Makes the event that a base raises instead of the user's; `onSignal` runs for each signal. */
export type IrqEventFactory = (onSignal: () => void) => IrqEvent & Partial<Disposable>;

interface Held {
  readonly event: IrqEvent & Partial<Disposable>;
  readonly signal: () => void;
}

type Events = readonly (IrqEvent | undefined)[];

/**
 * The base's interrupts with some vectors in the sub-driver's hands. The user's events are kept here,
 * and the base is brought to what user and sub-driver together want, in whatever order they ask. An
 * index without interception is passed through untouched.
 */
export class Interrupts {
  readonly #base: VfioDevice;
  readonly #irqs: readonly IrqInfo[];
  readonly #vectors: IrqVectors;
  readonly #guard: PluginGuard;
  readonly #logger: Logger;
  readonly #makeEvent: IrqEventFactory;
  readonly #held = new Map<number, Map<number, Held>>();
  /** What the base has at each index with an interception. */
  readonly #applied = new Map<number, Events>();

  constructor(
    base: VfioDevice,
    guard: PluginGuard,
    logger: Logger,
    makeEvent: IrqEventFactory = (onSignal) => ({ signal: onSignal }),
  ) {
    this.#base = base;
    this.#irqs = base.info.irqs;
    this.#vectors = new IrqVectors(this.#irqs, { pci: base.info.pci });
    this.#guard = guard;
    this.#logger = logger;
    this.#makeEvent = makeEvent;
  }

  /** A user's request for an index of the base. */
  set(request: IrqRequest): void {
    this.#vectors.check(request);
    const held = this.#held.has(request.index);
    const enables = request.action === "trigger" && request.data.kind === "event";
    if (!enables && !isIrqDisable(request)) {
      // The user fires its own events: an intercepted vector must not reach the sub-driver for it.
      if (held && request.action === "trigger") this.#vectors.apply(request);
      else this.#toBase(request);
      return;
    }
    const before = this.#vectors.snapshot(request.index);
    this.#vectors.apply(request);
    try {
      if (enables) this.#syncOthers(request.index);
      if (held) this.#sync(request.index);
      else this.#toBase(request);
      if (!enables) this.#syncOthers(request.index);
    } catch (error) {
      this.#vectors.restore(request.index, before);
      this.#tryResync();
      throw error;
    }
  }

  /** @throws VfmigError `ERR_VFMIG_IRQ_INTERCEPT` */
  intercept(index: number, vector: number, onSignal: () => void): Interception {
    this.#checkIntercept(index, vector);
    const signal = (): void => {
      if (!live) return;
      try {
        onSignal();
      } catch (error) {
        const named = this.#guard.named(`an interrupt of index ${index}, vector ${vector}`, error);
        this.#logger.error(named.message, { code: named.code, layer: named.layer });
      }
    };
    let live = true;
    const event = this.#makeEvent(signal);
    if (!this.#held.has(index)) this.#applied.set(index, this.#vectors.snapshot(index));
    const vectors = this.#held.get(index) ?? new Map<number, Held>();
    this.#held.set(index, vectors.set(vector, { event, signal }));
    const guestEvent = (): IrqEvent | undefined => this.#vectors.event(index, vector);
    const release = (): void => {
      if (!live) return;
      live = false;
      this.#release(index, vector, event);
    };
    try {
      this.#sync(index);
    } catch (error) {
      release();
      throw error;
    }
    return {
      signalGuest: () => guestEvent()?.signal(),
      get guestListens() {
        return guestEvent() !== undefined;
      },
      release,
    };
  }

  /** A reset may have cost the base its events: those of intercepted indexes are given again. */
  afterReset(): void {
    for (const index of this.#held.keys()) {
      this.#applied.set(index, []);
      this.#sync(index);
    }
  }

  /** Takes every event back from the base. */
  close(): void {
    let failure: unknown;
    for (const { index } of this.#irqs) {
      const used = this.#vectors.enabled(index) + (this.#applied.get(index)?.length ?? 0);
      if (used === 0) continue;
      try {
        this.#toBase(disable(index));
      } catch (error) {
        failure ??= error;
      }
    }
    for (const vectors of this.#held.values()) {
      for (const { event } of vectors.values()) event[Symbol.dispose]?.();
    }
    this.#held.clear();
    this.#applied.clear();
    this.#vectors.clear();
    if (failure !== undefined) throw failure;
  }

  #checkIntercept(index: number, vector: number): void {
    const info = this.#irqs[index];
    const why =
      info === undefined
        ? "the base has no such index"
        : !(Number.isSafeInteger(vector) && vector >= 0 && vector < info.count)
          ? `the index has ${info.count} vectors`
          : info.maskable
            ? "its interrupts wait for the guest to unmask them, so that no one else can take them"
            : this.#held.get(index)?.has(vector) === true
              ? "it is intercepted already"
              : undefined;
    if (why === undefined) return;
    throw new VfmigError(
      "ERR_VFMIG_IRQ_INTERCEPT",
      `${this.#guard.layer} cannot intercept index ${index}, vector ${vector}: ${why}.`,
      { layer: this.#guard.layer, details: { index, vector } },
    );
  }

  #release(index: number, vector: number, event: Partial<Disposable>): void {
    const vectors = this.#held.get(index);
    if (vectors?.delete(vector) !== true) return;
    try {
      this.#sync(index);
      // Whatever came while the vector changed hands is covered by one signal more.
      this.#vectors.event(index, vector)?.signal();
    } catch (error) {
      this.#logger.error(`Could not give back index ${index}, vector ${vector}.`, { error });
    } finally {
      event[Symbol.dispose]?.();
      if (vectors.size === 0) {
        this.#held.delete(index);
        this.#applied.delete(index);
      }
    }
  }

  /** Of INTx, MSI and MSI-X only one can be on: one that only the sub-driver wants yields. */
  #yields(index: number): boolean {
    if (!this.#base.info.pci || index > PCI_IRQ.MSIX) return false;
    return [PCI_IRQ.INTX, PCI_IRQ.MSI, PCI_IRQ.MSIX].some(
      (other) => other !== index && this.#vectors.enabled(other) > 0,
    );
  }

  #wanted(index: number): Events {
    const events = [...this.#vectors.snapshot(index)];
    if (this.#yields(index)) return events;
    for (const [vector, { event }] of this.#held.get(index) ?? []) {
      while (events.length <= vector) events.push(undefined);
      events[vector] = event;
    }
    return events;
  }

  /** Brings the base to what is wanted at an index with an interception. */
  #sync(index: number): void {
    const wanted = this.#wanted(index);
    const applied = this.#applied.get(index) ?? [];
    const noResize = this.#irqs[index]?.noResize === true;
    if (wanted.length < applied.length || (noResize && wanted.length > applied.length)) {
      if (applied.length > 0) this.#toBase(disable(index));
      this.#applied.set(index, []);
      if (wanted.length > 0) this.#give(index, 0, wanted);
      this.#applied.set(index, wanted);
      // A signal may have been lost while the index was off; one too many does no harm.
      if (wanted.length > 0)
        for (const held of this.#held.get(index)?.values() ?? []) held.signal();
      return;
    }
    let first = 0;
    while (first < wanted.length && first < applied.length && wanted[first] === applied[first]) {
      first += 1;
    }
    let end = wanted.length;
    while (end > first && end <= applied.length && wanted[end - 1] === applied[end - 1]) end -= 1;
    if (first < end) this.#give(index, first, wanted.slice(first, end));
    this.#applied.set(index, wanted);
  }

  #syncOthers(index: number): void {
    for (const other of this.#held.keys()) if (other !== index) this.#sync(other);
  }

  #tryResync(): void {
    for (const index of this.#held.keys()) {
      try {
        this.#sync(index);
      } catch (error) {
        this.#logger.error(`Could not restore the interrupts of index ${index}.`, { error });
      }
    }
  }

  #give(index: number, start: number, events: Events): void {
    const data = { kind: "event", events } as const;
    this.#toBase({ index, start, count: events.length, action: "trigger", data });
  }

  #toBase(request: IrqRequest): void {
    try {
      this.#base.setIrqs(request);
    } catch (error) {
      throw baseError(`setting interrupts of index ${request.index}`, error);
    }
  }
}

function disable(index: number): IrqRequest {
  return { index, start: 0, count: 0, action: "trigger", data: { kind: "none" } };
}
