import { checkIrqRequest, VfmigError, type IrqInfo, type IrqRequest } from "@vfmig/core";
import { refusedWith, type KernelCalls } from "../kernel-calls.ts";
import { DEVICE } from "../uapi/commands.ts";
import { irqSetRequest } from "../uapi/irq-set.ts";
import { isHostEvent, type HostEvents } from "./host-events.ts";

/** What the kernel's refusals of `SET_IRQS` mean, beyond what was checked before. */
const REFUSALS: Readonly<Record<string, string>> = {
  EINVAL: "another of INTx, MSI and MSI-X is enabled, or these vectors are not",
  ENOTTY: "the kernel does not offer it for this index",
  ENOSPC: "the machine has no interrupt vectors left",
  EBUSY: "the interrupt cannot be shared with another device",
  EBADF: "an event is closed",
};

/** `VFIO_DEVICE_SET_IRQS`: events go to the kernel as they are, so that it signals the VMM itself. */
export class Irqs {
  readonly #calls: KernelCalls;
  readonly #fd: number;
  readonly #irqs: readonly IrqInfo[];
  readonly #pci: boolean;
  readonly #hostEvents: HostEvents;
  /** Indexes that have events in the kernel. */
  readonly #enabled = new Set<number>();

  constructor(parts: {
    readonly calls: KernelCalls;
    readonly fd: number;
    readonly irqs: readonly IrqInfo[];
    readonly pci: boolean;
    readonly hostEvents: HostEvents;
  }) {
    this.#calls = parts.calls;
    this.#fd = parts.fd;
    this.#irqs = parts.irqs;
    this.#pci = parts.pci;
    this.#hostEvents = parts.hostEvents;
    this.#hostEvents.arm(parts.pci ? parts.irqs : [], (index, fd) => this.#arm(index, fd));
  }

  /** @throws VfmigError `ERR_VFMIG_IRQ_REQUEST`, `ERR_VFMIG_VFIO_GONE` */
  set(request: IrqRequest): void {
    checkIrqRequest(this.#irqs, request, "base");
    if (isHostEvent(request.index, this.#pci)) return this.#hostEvents.set(request);
    this.#toKernel(request, fdsOf(request));
    if (request.action !== "trigger") return;
    if (request.data.kind === "event") this.#enabled.add(request.index);
    else if (request.count === 0) this.#enabled.delete(request.index);
  }

  /** Takes every event back from the kernel; goes on where one cannot be, and throws the first failure. */
  close(): void {
    let failure: unknown;
    const armed = this.#irqs.filter(
      ({ index, count }) => count > 0 && isHostEvent(index, this.#pci),
    );
    for (const index of [...this.#enabled, ...armed.map((each) => each.index)]) {
      try {
        this.#toKernel(
          { index, start: 0, count: 0, action: "trigger", data: { kind: "none" } },
          [],
        );
      } catch (error) {
        failure ??= error;
      }
    }
    this.#enabled.clear();
    this.#hostEvents.close();
    if (failure !== undefined) throw failure;
  }

  #arm(index: number, fd: number): void {
    const data = { kind: "event", events: [{ fd, signal() {} }] } as const;
    this.#toKernel({ index, start: 0, count: 1, action: "trigger", data }, [fd]);
  }

  #toKernel(request: IrqRequest, fds: readonly number[]): void {
    const { bytes } = irqSetRequest(request, (i) => fds[i] ?? -1);
    try {
      this.#calls.call(this.#fd, DEVICE.SET_IRQS, bytes);
    } catch (error) {
      const errno = refusedWith(error);
      const why = errno === undefined ? undefined : REFUSALS[errno];
      if (why === undefined) throw error;
      throw refuse(request, `${this.#calls.device}: ${why}`, errno, error);
    }
  }
}

/** The eventfd of each vector, -1 for none. */
function fdsOf(request: IrqRequest): readonly number[] {
  if (request.data.kind !== "event") return [];
  return request.data.events.map((event, i) => {
    if (event === undefined) return -1;
    if (event.fd !== undefined) return event.fd;
    throw refuse(
      request,
      `the event of vector ${request.start + i} is no eventfd, and the kernel signals nothing else`,
    );
  });
}

function refuse(request: IrqRequest, why: string, errno = "EINVAL", cause?: unknown): VfmigError {
  const { index, start, count, action, data } = request;
  return new VfmigError(
    "ERR_VFMIG_IRQ_REQUEST",
    `Cannot set interrupts (${action} with ${data.kind}, index ${index}, start ${start}, count ${count}): ${why}. No interrupt was changed.`,
    { layer: "base", details: { index, start, count, action, data: data.kind, errno }, cause },
  );
}
