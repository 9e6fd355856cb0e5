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
import type { RegisterAccess } from "../../registers/register-access.ts";
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
  readonly interception: Interception;
  readonly itr: number[];
  /** Throttling as the guest last chose it, for arming the real vector. */
  throttle: number;
  txQueues: number;
  rxQueues: number;
}

const THROTTLE = DYN_CTL.ITR_INDX_MASK | DYN_CTL.INTERVAL_MASK;
const ITR_END = VF_REGISTER.VFINT_ITRN1 + 64 * VF_REGISTER_COUNT.itrPerVector;

/**
 * The queue vectors. The real ones stay armed by us, since a guest that polls with its vectors masked
 * still has to be brought its descriptors; the guest masks and arms virtual ones.
 */
export class QueueVectors {
  readonly #registers: RegisterAccess;
  /** By MSI-X vector; there is none at 0. */
  readonly #vectors: (QueueVector | undefined)[] = [];
  readonly #relay: (txQueues: number, rxQueues: number) => void;
  /** Queues that the guest mapped to the mailbox's vector. */
  readonly zero: { txQueues: number; rxQueues: number } = { txQueues: 0, rxQueues: 0 };

  /** @param relay - takes finished descriptors of the queues to the guest */
  constructor(
    context: SubDriverContext,
    registers: RegisterAccess,
    relay: (txQueues: number, rxQueues: number) => void,
  ) {
    this.#registers = registers;
    this.#relay = relay;
    const count = context.base.info.irqs[PCI_IRQ.MSIX]?.count ?? 0;
    for (let vector = 1; vector < Math.min(count, VF_REGISTER_COUNT.queueVectors + 1); vector++) {
      const interception = context.interrupts.intercept(PCI_IRQ.MSIX, vector, () =>
        this.#onSignal(vector),
      );
      this.#vectors[vector] = {
        virtual: new VirtualVector(() => signal(interception)),
        interception,
        itr: [0, 0, 0],
        throttle: DYN_CTL.ITR_INDX_MASK,
        txQueues: 0,
        rxQueues: 0,
      };
    }
  }

  #onSignal(vector: number): void {
    const known = this.#vectors[vector];
    if (known !== undefined) {
      // Armed before the relay looks, so that what comes after the look fires again.
      this.#armReal(vector, known);
      this.#relay(known.txQueues, known.rxQueues);
      known.virtual.raise();
    }
  }

  #armReal(vector: number, known: QueueVector): void {
    this.#registers.write(vectorControl(vector), DYN_CTL.INTENA | known.throttle);
  }

  /** Arms every real vector that has queues. */
  armAll(): void {
    for (const [vector, known] of this.#vectors.entries()) {
      if (known !== undefined && (known.txQueues | known.rxQueues) !== 0) {
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
    this.armAll();
  }

  /** Undefined where `offset` is no register of a queue vector. */
  read(offset: number): number | undefined {
    const vector = controlVector(offset);
    if (vector > 0) {
      return this.#vectors[vector]?.virtual.readControl();
    }
    const at = itrPlace(offset);
    return at === undefined ? undefined : this.#vectors[at.vector]?.itr[at.itr];
  }

  /** False where `offset` is no register of a queue vector. */
  write(offset: number, value: number): boolean {
    const vector = controlVector(offset);
    if (vector > 0) {
      return this.#writeControl(vector, value);
    }
    const at = itrPlace(offset);
    const known = at === undefined ? undefined : this.#vectors[at.vector];
    if (at === undefined || known === undefined) {
      return false;
    }
    known.itr[at.itr] = value & 0xfff;
    this.#registers.write(offset, value & 0xfff);
    return true;
  }

  #writeControl(vector: number, value: number): boolean {
    const known = this.#vectors[vector];
    if (known === undefined) {
      return false;
    }
    if ((value & DYN_CTL.INTENA) !== 0 && (value & THROTTLE) !== known.throttle) {
      known.throttle = value & THROTTLE;
      this.#armReal(vector, known);
    }
    if (known.virtual.writeControl(value)) {
      this.#relay(known.txQueues, known.rxQueues);
      known.virtual.raise();
    }
    return true;
  }

  /** Raises every vector of the guest once: it may have missed one on the way. */
  raiseAll(): void {
    for (const known of this.#vectors) {
      known?.virtual.raise();
    }
  }

  freeze(): void {
    for (const known of this.#vectors) {
      known?.virtual.freeze();
    }
  }

  thaw(): void {
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
        known.txQueues = 0;
        known.rxQueues = 0;
      }
    }
  }

  save(): QueueVectorState[] {
    return this.#vectors.flatMap((known, vector) =>
      known === undefined
        ? []
        : [{ vector, control: known.virtual.readControl(), itr: [...known.itr] }],
    );
  }

  load(states: readonly QueueVectorState[]): void {
    for (const state of states) {
      const known = this.#vectors[state.vector];
      if (known !== undefined) {
        for (const [itr, value] of state.itr.entries()) {
          this.write(vectorItr(state.vector, itr), value);
        }
        known.throttle = state.control & THROTTLE;
        known.virtual.writeControl(state.control);
      }
    }
  }

  close(): void {
    for (const known of this.#vectors.splice(0)) {
      known?.interception.release();
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
