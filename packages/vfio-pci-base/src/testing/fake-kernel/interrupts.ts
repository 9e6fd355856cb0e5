import type { FakeIo } from "@vfmig/linux/fake";
import { no } from "./errno.ts";

export interface FakeIrq {
  readonly count: number;
  readonly flags: number;
}

/** Events of one device, held as the kernel holds them (`vfio_pci_intrs.c`). */
export class Interrupts {
  readonly #io: FakeIo;
  readonly #irqs: readonly FakeIrq[];
  /** By index: a descriptor of the kernel's own for each vector, -1 for none. */
  readonly #events = new Map<number, number[]>();
  masked = false;
  #pending = false;

  constructor(io: FakeIo, irqs: readonly FakeIrq[]) {
    this.#io = io;
    this.#irqs = irqs;
  }

  enabled(index: number): number {
    return this.#events.get(index)?.length ?? 0;
  }

  /** The device raises a vector; false where nobody listens. */
  fire(index: number, vector = 0): boolean {
    const fd = this.#events.get(index)?.[vector] ?? -1;
    if (fd < 0) return false;
    if (index === 0 && this.masked) {
      this.#pending = true;
      return true;
    }
    if (index === 0) this.masked = true;
    this.#io.signalEventfd(fd);
    return true;
  }

  close(): void {
    for (const index of this.#events.keys()) this.#disable(index);
  }

  /** @param argument a whole `struct vfio_irq_set` */
  set(view: DataView): number {
    if (view.byteLength < 20) return no("EINVAL");
    const argsz = view.getUint32(0, true);
    const flags = view.getUint32(4, true);
    const index = view.getUint32(8, true);
    const start = view.getUint32(12, true);
    const count = view.getUint32(16, true);
    const data = flags & 7;
    const action = flags & 56;
    const irq = this.#irqs[index];
    if (irq === undefined || ![1, 2, 4].includes(data) || ![8, 16, 32].includes(action))
      return no("EINVAL");
    if (start >= irq.count || start + count > irq.count) return no("EINVAL");
    const element = { 1: 0, 2: 1, 4: 4 }[data] ?? 0;
    if (argsz < 20 + count * element || view.byteLength < 20 + count * element) return no("EINVAL");
    if (action !== 32) return this.#mask(index, action, data);
    if (data === 1 && count === 0) {
      this.#disable(index);
      return 0;
    }
    if (data === 4) return this.#enable(index, start, count, view);
    return this.#loopback(index, start, count, data, view);
  }

  #mask(index: number, action: number, data: number): number {
    if (index !== 0) return no("ENOTTY");
    if (data === 4 && action === 8) return no("ENOTTY");
    if (data === 4) return 0;
    this.masked = action === 8;
    if (!this.masked && this.#pending) {
      this.#pending = false;
      this.fire(0);
    }
    return 0;
  }

  #enable(index: number, start: number, count: number, view: DataView): number {
    if (count === 0) return no("EINVAL");
    const rival = [0, 1, 2].some((other) => other !== index && this.enabled(other) > 0);
    if (index <= 2 && rival) return no("EINVAL");
    const events = this.#events.get(index) ?? [];
    if (events.length === 0 && start !== 0) return no("EINVAL");
    const noResize = ((this.#irqs[index]?.flags ?? 0) & 8) !== 0;
    if (noResize && events.length > 0 && start + count > events.length) return no("EINVAL");
    const given = Array.from({ length: count }, (_, i) => view.getInt32(20 + i * 4, true));
    let held: number[];
    try {
      held = given.map((fd) => (fd < 0 ? -1 : this.#hold(fd)));
    } catch {
      return no("EBADF");
    }
    for (const [i, fd] of held.entries()) {
      this.#release(events[start + i]);
      events[start + i] = fd;
    }
    this.#events.set(index, events);
    return 0;
  }

  #loopback(index: number, start: number, count: number, data: number, view: DataView): number {
    if (start + count > this.enabled(index)) return no("EINVAL");
    for (let i = 0; i < count; i += 1) {
      if (data === 2 && view.getUint8(20 + i) === 0) continue;
      const fd = this.#events.get(index)?.[start + i] ?? -1;
      if (fd >= 0) this.#io.signalEventfd(fd);
    }
    return 0;
  }

  #hold(fd: number): number {
    if (this.#io.status(fd).kind !== "eventfd") throw new Error("no eventfd");
    return this.#io.dup(fd);
  }

  #release(fd: number | undefined): void {
    if (fd !== undefined && fd >= 0) this.#io.close(fd);
  }

  #disable(index: number): void {
    for (const fd of this.#events.get(index) ?? []) this.#release(fd);
    this.#events.delete(index);
    if (index === 0) this.masked = false;
  }
}
