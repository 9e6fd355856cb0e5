import type { SharedMemory } from "../../device/dma.ts";
import type { RecordedDevice } from "../recorder.ts";
import type { RecordedMemory } from "../events.ts";
import { overlap } from "./plan.ts";
import type { Waits } from "./waits.ts";

interface Mapped {
  readonly iova: number;
  readonly size: number;
  readonly memory: SharedMemory;
  /** What the recorded device wrote here since the guest last wrote over it. */
  due: RecordedMemory[];
}

/** Writes of the device that nobody waited for yet, for each mapping; older ones have surely arrived. */
const DUE = 4096;

/** The memory of a replayed guest. */
export class ReplayMemory {
  readonly #device: RecordedDevice;
  readonly #waits: Waits;
  readonly #mapped: Mapped[] = [];

  constructor(device: RecordedDevice, waits: Waits) {
    this.#device = device;
    this.#waits = waits;
  }

  map(iova: number, size: number, memory: SharedMemory): void {
    this.#mapped.push({ iova, size, memory, due: [] });
  }

  unmap(iova: number): void {
    const at = this.#mapped.findIndex((mapped) => mapped.iova === iova);
    if (at >= 0) this.#mapped.splice(at, 1);
  }

  /** The recorded device wrote this: the replayed one will, too, unless the two differ. */
  expect(event: RecordedMemory): void {
    const mapped = this.#find(event);
    if (mapped === undefined) return;
    mapped.due.push(event);
    if (mapped.due.length > DUE) mapped.due = mapped.due.slice(DUE / 2);
  }

  /**
   * The guest writes. Where the recorded device had written there, the guest had seen that: so it is waited
   * for, in bounds.
   */
  async write(event: RecordedMemory): Promise<void> {
    const mapped = this.#find(event);
    if (mapped === undefined) return;
    const seen = mapped.due.filter((due) => overlap(due, event));
    if (seen.length > 0) {
      mapped.due = mapped.due.filter((due) => !seen.includes(due));
      await this.#waits.until("memory", () => seen.every((due) => this.#holds(mapped, due)));
    }
    mapped.memory.bytes.set(event.data, event.iova - mapped.iova);
    this.#device.noteGuestWrite(event.iova, event.data);
  }

  #holds(mapped: Mapped, { iova, data }: RecordedMemory): boolean {
    const at = iova - mapped.iova;
    return Buffer.compare(mapped.memory.bytes.subarray(at, at + data.length), data) === 0;
  }

  #find({ iova, data }: RecordedMemory): Mapped | undefined {
    return this.#mapped.find(
      (mapped) => iova >= mapped.iova && iova + data.length <= mapped.iova + mapped.size,
    );
  }
}
