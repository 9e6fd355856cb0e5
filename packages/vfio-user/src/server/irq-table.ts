import type { IrqEvent, Logger, VfioDevice } from "@vfmig/core";
import type { NativeIo, Watch } from "@vfmig/linux";
import { refusal } from "../codec/errno.ts";
import type { IrqAction, SetIrqsRequest } from "../codec/set-irqs.ts";

/** An eventfd that came over the socket. */
class FdIrqEvent implements IrqEvent {
  readonly fd: number;
  readonly #io: NativeIo;
  /** Its mode is the client's too, who may count on it: so it stays, and each use looks first. */
  readonly #blocks: boolean;
  #watch: Watch | undefined;

  constructor(io: NativeIo, fd: number) {
    this.#io = io;
    this.fd = fd;
    this.#blocks = io.blocks(fd);
  }

  signal(): void {
    try {
      // A full counter would stop this thread, and says all that one more signal would.
      if (this.#blocks && !this.#io.waitWritable(this.fd, 0)) return;
      this.#io.signalEventfd(this.fd);
    } catch {
      // A device may hold an event for a moment after the client took it away.
    }
  }

  /** Calls `onSignal` when the client signals the event. */
  listen(onSignal: () => void): void {
    this.#watch = this.#io.watch(this.fd, () => {
      // The client may have read what the watch saw.
      if (this.#blocks && !this.#io.waitReadable(this.fd, 0)) return;
      if (this.#io.drainEventfd(this.fd) > 0) onSignal();
    });
  }

  close(): void {
    this.#watch?.[Symbol.dispose]();
    this.#io.close(this.fd);
  }
}

type Slots = Map<number, FdIrqEvent>;

/** The events that one client has set. They are the connection's, and closed when they are replaced. */
export class IrqTable {
  readonly #io: NativeIo;
  readonly #device: VfioDevice;
  readonly #logger: Logger;
  readonly #slots = new Map<string, Slots>();

  constructor(io: NativeIo, device: VfioDevice, logger: Logger) {
    this.#io = io;
    this.#device = device;
    this.#logger = logger;
  }

  /** Number of open events. */
  get size(): number {
    let count = 0;
    for (const slots of this.#slots.values()) count += slots.size;
    return count;
  }

  /**
   * Hands a checked request to the device. Takes every fd out of `fds`, also where it throws.
   * @throws VfmigError what the device throws; `ERR_VFMIG_VFIO_USER_REQUEST` for an fd that is no eventfd
   */
  apply(request: SetIrqsRequest, fds: number[]): void {
    const { index, start, count, action, kind } = request;
    if (kind !== "event") {
      const data =
        kind === "bool" ? ({ kind, values: request.values } as const) : ({ kind } as const);
      this.#device.setIrqs({ index, start, count, action, data });
      if (action === "trigger" && count === 0) this.#closeIndex(index);
      return;
    }
    const events = this.#wrap(fds);
    try {
      const all = Array.from({ length: count }, (_, i) => events[i]);
      this.#device.setIrqs({ index, start, count, action, data: { kind, events: all } });
    } catch (error) {
      for (const event of events) event.close();
      throw error;
    }
    this.#replace(index, action, start, count, events);
  }

  /** Takes every event away from the device and closes it; tells `onError` of devices that refuse. */
  disableAll(onError: (error: unknown) => void): void {
    const indexes = new Set([...this.#slots.keys()].map((key) => Number(key.split("/")[0])));
    for (const index of indexes) {
      try {
        this.#device.setIrqs({
          index,
          start: 0,
          count: 0,
          action: "trigger",
          data: { kind: "none" },
        });
      } catch (error) {
        onError(error);
      }
      this.#closeIndex(index);
    }
  }

  #wrap(fds: number[]): FdIrqEvent[] {
    for (const fd of fds) {
      const { kind } = this.#io.status(fd);
      if (kind !== "eventfd") {
        throw refusal("EINVAL", `SET_IRQS: a descriptor is no eventfd but a ${kind}`, { kind });
      }
    }
    return fds.splice(0).map((fd) => new FdIrqEvent(this.#io, fd));
  }

  #replace(
    index: number,
    action: IrqAction,
    start: number,
    count: number,
    events: readonly FdIrqEvent[],
  ): void {
    const key = `${index}/${action}`;
    let slots = this.#slots.get(key);
    if (slots === undefined) this.#slots.set(key, (slots = new Map()));
    for (let i = 0; i < count; i += 1) {
      slots.get(start + i)?.close();
      const event = events[i];
      if (event === undefined) slots.delete(start + i);
      else slots.set(start + i, event);
      if (action === "unmask") event?.listen(() => this.#unmask(index, start + i));
    }
  }

  /**
   * The client has signalled an event for unmasking. A kernel takes such signals itself, before they are
   * seen here; for all other devices they become a request.
   */
  #unmask(index: number, vector: number): void {
    try {
      const data = { kind: "none" } as const;
      this.#device.setIrqs({ index, start: vector, count: 1, action: "unmask", data });
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      this.#logger.warn(`vfio-user: cannot unmask vector ${vector} of irq index ${index}: ${text}`);
    }
  }

  #closeIndex(index: number): void {
    for (const action of ["mask", "unmask", "trigger"]) {
      const slots = this.#slots.get(`${index}/${action}`);
      if (slots === undefined) continue;
      for (const event of slots.values()) event.close();
      this.#slots.delete(`${index}/${action}`);
    }
  }
}
