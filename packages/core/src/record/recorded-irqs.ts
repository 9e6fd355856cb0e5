import type { IrqEventFactory } from "../compose/interrupts.ts";
import type { IrqEvent, IrqRequest } from "../device/irqs.ts";

type OwnEvent = IrqEvent & Partial<Disposable>;

/** Puts an event of our own in front of each of the user's, and keeps it open as long as it is set. */
export class RecordedIrqs {
  readonly #onSignal: (index: number, vector: number) => void;
  readonly #create: IrqEventFactory;
  /** By index, then vector. */
  readonly #events = new Map<number, Map<number, OwnEvent>>();

  constructor(
    onSignal: (index: number, vector: number) => void,
    options: { readonly createIrqEvent?: IrqEventFactory | undefined },
  ) {
    this.#onSignal = onSignal;
    this.#create = options.createIrqEvent ?? ((signal) => ({ signal }));
  }

  /** Hands the request on with our events; one that the device refuses leaves those before. */
  set(request: IrqRequest, hand: (request: IrqRequest) => void): void {
    const { index, start, count, action, data } = request;
    if (action !== "trigger") return hand(request);
    if (data.kind !== "event") {
      hand(request);
      if (data.kind === "none" && count === 0) this.#drop(index);
      return;
    }
    const fresh = data.events.map((event, i) => event && this.#wrap(event, index, start + i));
    try {
      hand({ ...request, data: { kind: "event", events: fresh } });
    } catch (error) {
      for (const event of fresh) event?.[Symbol.dispose]?.();
      throw error;
    }
    const vectors = this.#vectorsOf(index);
    for (const [i, event] of fresh.entries()) {
      vectors.get(start + i)?.[Symbol.dispose]?.();
      if (event === undefined) vectors.delete(start + i);
      else vectors.set(start + i, event);
    }
  }

  close(): void {
    for (const index of this.#events.keys()) this.#drop(index);
  }

  #wrap(event: IrqEvent, index: number, vector: number): OwnEvent {
    return this.#create(() => {
      this.#onSignal(index, vector);
      event.signal();
    });
  }

  #vectorsOf(index: number): Map<number, OwnEvent> {
    const known = this.#events.get(index);
    if (known !== undefined) return known;
    const vectors = new Map<number, OwnEvent>();
    this.#events.set(index, vectors);
    return vectors;
  }

  #drop(index: number): void {
    for (const event of this.#events.get(index)?.values() ?? []) event[Symbol.dispose]?.();
    this.#events.delete(index);
  }
}
