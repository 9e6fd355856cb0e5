import type { IrqEvent, IrqRequest } from "../device/irqs.ts";
import type { VfioDevice } from "../device/vfio-device.ts";
import { isIrqDisable } from "../irqs/check-irq-request.ts";

type Events = (IrqEvent | undefined)[];

/** What a user has set of one irq index. */
interface Index {
  readonly trigger: Events;
  readonly unmask: Events;
  readonly masked: Set<number>;
}

/** The interrupts that a user has set, so that another device can be given the same. */
export class IrqMemory {
  readonly #indexes = new Map<number, Index>();

  /** Notes a request that the device has taken. */
  note(request: IrqRequest): void {
    const { index, action, data, start, count } = request;
    if (isIrqDisable(request)) return void this.#indexes.delete(index);
    if (action === "trigger" && data.kind !== "event") return;
    const known = this.#indexes.get(index) ?? { trigger: [], unmask: [], masked: new Set() };
    this.#indexes.set(index, known);
    if (data.kind === "event") {
      const events = action === "trigger" ? known.trigger : known.unmask;
      for (let i = 0; i < count; i++) events[start + i] = data.events[i];
      return;
    }
    for (let i = 0; i < count; i++) {
      if (data.kind === "bool" && data.values[i] === 0) continue;
      if (action === "mask") known.masked.add(start + i);
      else known.masked.delete(start + i);
    }
  }

  /**
   * Sets all of it on `device`.
   * @throws VfmigError what the device throws
   */
  setOn(device: VfioDevice): void {
    for (const [index, { trigger, unmask, masked }] of this.#indexes) {
      for (const [action, given] of [["trigger", trigger] as const, ["unmask", unmask] as const]) {
        if (given.length === 0) continue;
        const data = { kind: "event", events: Array.from(given) } as const;
        device.setIrqs({ index, start: 0, count: given.length, action, data });
      }
      for (const vector of masked) {
        const data = { kind: "none" } as const;
        device.setIrqs({ index, start: vector, count: 1, action: "mask", data });
      }
    }
  }

  /** Takes every event away from `device`; tells `onError` of what it refuses. */
  takeFrom(device: VfioDevice, onError: (error: unknown) => void): void {
    for (const index of this.#indexes.keys()) {
      try {
        const data = { kind: "none" } as const;
        device.setIrqs({ index, start: 0, count: 0, action: "trigger", data });
      } catch (error) {
        onError(error);
      }
    }
  }
}
