import type { Interception, SubDriverContext } from "@vfmig/core";
import { PCI_IRQ } from "@vfmig/core";
import { VirtualVector } from "../../interrupts/virtual-vector.ts";
import {
  controlVector,
  DYN_CTL,
  vectorControl,
  vectorItr,
  VF_REGISTER,
  VF_REGISTER_COUNT,
} from "../../registers.ts";
import type { RegisterAccess } from "@vfmig/core/toolkit";
import type { VectorMap } from "../../virtchnl/queues.ts";

/** Registers of one queue vector, for saving. */
export interface QueueVectorState {
  /** MSI-X vector, 1 and up. */
  readonly vector: number;
  readonly control: number;
  readonly itr: readonly number[];
}

interface QueueVector {
  readonly virtual: VirtualVector;
  /** Absent while the vector is the guest's and the device's alone. */
  interception: Interception | undefined;
  readonly itr: number[];
  /** Throttling as the guest last chose it, for arming the real vector. */
  throttle: number;
  /** WB_ON_ITR as the guest last chose it: nothing to a relay, and given back with the vector. */
  writeBack: number;
  txQueues: number;
  rxQueues: number;
}

const THROTTLE = DYN_CTL.ITR_INDX_MASK | DYN_CTL.INTERVAL_MASK;
const ITR_END = VF_REGISTER.VFINT_ITRN1 + 64 * VF_REGISTER_COUNT.itrPerVector;

/** What a vector's owner does with it. */
export interface VectorUse {
  /** Takes finished descriptors of the queues to the guest. */
  readonly relay: (txQueues: number, rxQueues: number) => void;
  /** Queues, by bit, whose vectors have to be ours; absent where all always are. */
  readonly interposed?: () => number;
}

/**
 * The queue vectors. Those of relayed queues stay armed by us, since a guest that polls with its
 * vectors masked still has to be brought its descriptors; the guest masks and arms virtual ones. All
 * others are left alone, events and registers.
 */
export class QueueVectors {
  readonly #context: SubDriverContext;
  readonly #registers: RegisterAccess;
  /** By MSI-X vector; there is none at 0. */
  readonly #vectors: (QueueVector | undefined)[] = [];
  readonly #use: VectorUse;
  /** Queues that the guest mapped to the mailbox's vector. */
  readonly zero: { txQueues: number; rxQueues: number } = { txQueues: 0, rxQueues: 0 };
  #frozen = false;

  constructor(context: SubDriverContext, registers: RegisterAccess, use: VectorUse) {
    this.#context = context;
    this.#registers = registers;
    this.#use = use;
    const count = context.base.info.irqs[PCI_IRQ.MSIX]?.count ?? 0;
    for (let vector = 1; vector < Math.min(count, VF_REGISTER_COUNT.queueVectors + 1); vector++) {
      const known: QueueVector = {
        virtual: new VirtualVector(() => signal(known.interception)),
        interception: undefined,
        itr: [0, 0, 0],
        throttle: DYN_CTL.ITR_INDX_MASK,
        writeBack: 0,
        txQueues: 0,
        rxQueues: 0,
      };
      this.#vectors[vector] = known;
      if (use.interposed === undefined) {
        known.interception = this.#intercept(vector);
      }
    }
  }

  #intercept(vector: number): Interception {
    return this.#context.interrupts.intercept(PCI_IRQ.MSIX, vector, () => this.#onSignal(vector));
  }

  /** Takes the vectors that have to be ours, and gives the others back. */
  refresh(): void {
    const queues = this.#use.interposed?.();
    if (queues === undefined) {
      return;
    }
    for (const [vector, known] of this.#vectors.entries()) {
      const needed = known !== undefined && ((known.txQueues | known.rxQueues) & queues) !== 0;
      if (known !== undefined && needed !== (known.interception !== undefined)) {
        if (needed) {
          this.#take(vector, known);
        } else {
          this.#give(vector, known);
        }
      }
    }
  }

  /** Masks and intervals stay what they are, now in a virtual register. */
  #take(vector: number, known: QueueVector): void {
    known.interception = this.#intercept(vector);
    const control = this.#registers.read(vectorControl(vector));
    for (let itr = 0; itr < known.itr.length; itr++) {
      known.itr[itr] = this.#registers.read(vectorItr(vector, itr)) & 0xfff;
    }
    known.throttle = control & THROTTLE;
    known.writeBack = control & DYN_CTL.WB_ON_ITR;
    known.virtual.reset();
    known.virtual.writeControl(control);
    this.#armReal(vector, known);
    // What fired while the vector changed hands may have masked it and reached nobody.
    known.virtual.raise();
    if (known.virtual.latched && !this.#frozen) {
      signal(known.interception);
    }
  }

  /** The register gets the guest's mask, the guest its event, and one signal for all that it missed. */
  #give(vector: number, known: QueueVector): void {
    const armed = known.virtual.enabled ? DYN_CTL.INTENA : 0;
    this.#registers.write(vectorControl(vector), armed | known.throttle | known.writeBack);
    known.interception?.release();
    known.interception = undefined;
  }

  #onSignal(vector: number): void {
    const known = this.#vectors[vector];
    if (known !== undefined) {
      // Armed before the relay looks, so that what comes after the look fires again.
      this.#armReal(vector, known);
      this.#use.relay(known.txQueues, known.rxQueues);
      known.virtual.raise();
    }
  }

  #armReal(vector: number, known: QueueVector): void {
    this.#registers.write(vectorControl(vector), DYN_CTL.INTENA | known.throttle);
  }

  /** Arms every real vector that has queues and is ours. */
  armAll(): void {
    for (const [vector, known] of this.#vectors.entries()) {
      if (known?.interception !== undefined && (known.txQueues | known.rxQueues) !== 0) {
        this.#armReal(vector, known);
      }
    }
  }

  /** The PF mapped queues to vectors. */
  map(maps: Iterable<VectorMap>): void {
    for (const map of maps) {
      const known = map.vector === 0 ? this.zero : this.#vectors[map.vector];
      if (known !== undefined) {
        known.txQueues = map.txQueues;
        known.rxQueues = map.rxQueues;
      }
    }
    this.refresh();
    this.armAll();
  }

  /** The vector, where it is ours. */
  #ours(vector: number): QueueVector | undefined {
    const known = this.#vectors[vector];
    return known?.interception === undefined ? undefined : known;
  }

  /** Undefined where `offset` is no register of a queue vector that is ours. */
  read(offset: number): number | undefined {
    const vector = controlVector(offset);
    if (vector > 0) {
      return this.#ours(vector)?.virtual.readControl();
    }
    const at = itrPlace(offset);
    return at === undefined ? undefined : this.#ours(at.vector)?.itr[at.itr];
  }

  /** False where `offset` is no register of a queue vector that is ours. */
  write(offset: number, value: number): boolean {
    const vector = controlVector(offset);
    if (vector > 0) {
      return this.#writeControl(vector, value);
    }
    const at = itrPlace(offset);
    const known = at === undefined ? undefined : this.#ours(at.vector);
    if (at === undefined || known === undefined) {
      return false;
    }
    known.itr[at.itr] = value & 0xfff;
    this.#registers.write(offset, value & 0xfff);
    return true;
  }

  #writeControl(vector: number, value: number): boolean {
    const known = this.#ours(vector);
    if (known === undefined) {
      return false;
    }
    known.writeBack = value & DYN_CTL.WB_ON_ITR;
    if ((value & DYN_CTL.INTENA) !== 0 && (value & THROTTLE) !== known.throttle) {
      known.throttle = value & THROTTLE;
      this.#armReal(vector, known);
    }
    if (known.virtual.writeControl(value)) {
      this.#use.relay(known.txQueues, known.rxQueues);
      known.virtual.raise();
    }
    return true;
  }

  /** Raises every vector of the guest once: it may have missed one on the way. */
  raiseAll(): void {
    for (const known of this.#vectors) {
      if (known?.interception !== undefined) {
        known.virtual.raise();
      }
    }
  }

  /** Has the guest look at these queues, whatever its masks say; it bears one signal too many. */
  wake(txQueues: number, rxQueues: number): void {
    for (const known of this.#vectors) {
      if (
        known !== undefined &&
        ((known.txQueues & txQueues) | (known.rxQueues & rxQueues)) !== 0
      ) {
        signal(known.interception);
      }
    }
  }

  freeze(): void {
    this.#frozen = true;
    for (const known of this.#vectors) {
      known?.virtual.freeze();
    }
  }

  thaw(): void {
    this.#frozen = false;
    for (const known of this.#vectors) {
      known?.virtual.thaw();
    }
  }

  /** The VF was reset. */
  reset(): void {
    this.zero.txQueues = 0;
    this.zero.rxQueues = 0;
    for (const known of this.#vectors) {
      if (known !== undefined) {
        known.virtual.reset();
        known.itr.fill(0);
        known.throttle = DYN_CTL.ITR_INDX_MASK;
        known.writeBack = 0;
        known.txQueues = 0;
        known.rxQueues = 0;
      }
    }
    this.refresh();
  }

  save(): QueueVectorState[] {
    return this.#vectors.flatMap((known, vector) =>
      known === undefined ? [] : [{ vector, ...this.#registersOf(vector, known) }],
    );
  }

  #registersOf(
    vector: number,
    known: QueueVector,
  ): { readonly control: number; readonly itr: readonly number[] } {
    if (known.interception !== undefined) {
      return { control: known.virtual.readControl(), itr: [...known.itr] };
    }
    return {
      control: this.#registers.read(vectorControl(vector)),
      itr: known.itr.map((_, itr) => this.#registers.read(vectorItr(vector, itr)) & 0xfff),
    };
  }

  load(states: readonly QueueVectorState[]): void {
    for (const state of states) {
      const known = this.#vectors[state.vector];
      if (known !== undefined) {
        for (const [itr, value] of state.itr.entries()) {
          this.#registers.write(vectorItr(state.vector, itr), value);
          known.itr[itr] = value;
        }
        known.throttle = state.control & THROTTLE;
        if (known.interception === undefined) {
          this.#registers.write(vectorControl(state.vector), state.control);
        } else {
          known.virtual.writeControl(state.control);
        }
      }
    }
  }

  close(): void {
    for (const known of this.#vectors.splice(0)) {
      known?.interception?.release();
    }
  }
}

/** Raises the guest's event; false where it has none. */
export function signal(interception: Interception | undefined): boolean {
  if (interception?.guestListens !== true) {
    return false;
  }
  interception.signalGuest();
  return true;
}

function itrPlace(offset: number): { readonly vector: number; readonly itr: number } | undefined {
  const from = offset - VF_REGISTER.VFINT_ITRN1;
  if (from < 0 || offset >= ITR_END || from % 4 !== 0) {
    return undefined;
  }
  return { vector: (from % 64) / 4 + 1, itr: Math.floor(from / 64) };
}
