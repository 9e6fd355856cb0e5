import { GuestFault } from "../guest/fault.ts";
import type { PciSlot } from "../guest/pci-slot.ts";
import { BIT, IGB, MESSAGE } from "./registers.ts";

/** igbvf looks this often, at most 2,000 times, for each of the PF's two signs; in milliseconds. */
const LOOK_MS = 0.5;
const LOOKS = 2000;
/** Bits that a read takes away. */
const READ_TO_CLEAR = BIT.PFSTS | BIT.PFACK | BIT.RSTD;

/** Lets the guest's time pass. */
export type Sleep = (ms: number) => Promise<void>;

/** The mailbox as igbvf uses it: polled, one exchange at a time, with a copy of what reads take away. */
export class IgbMailbox {
  readonly #slot: PciSlot;
  readonly #sleep: Sleep;
  #bits = 0;
  #last: Promise<unknown> = Promise.resolve();
  #busy = 0;
  messages = 0;

  constructor(slot: PciSlot, sleep: Sleep) {
    this.#slot = slot;
    this.#sleep = sleep;
  }

  /** True while an exchange runs or waits. */
  get busy(): boolean {
    return this.#busy > 0;
  }

  /** Sends a request and gives the first `dwords` of the answer. @throws GuestFault */
  async exchange(request: readonly number[], dwords = 1): Promise<number[]> {
    const result = this.#last.then(async () => await this.#run(request, dwords));
    this.#busy++;
    this.#last = result.then(
      () => this.#busy--,
      () => this.#busy--,
    );
    return await result;
  }

  /** True where the PF has been reset since the last look; takes what it said unasked. */
  look(): boolean {
    const now = this.#poll();
    const reset = (now & BIT.RSTI) !== 0 || (this.#bits & BIT.RSTD) !== 0;
    this.#bits &= ~BIT.RSTD;
    if (!this.busy && (this.#bits & BIT.PFSTS) !== 0 && this.#lock()) {
      this.messages++;
      this.#bits &= ~BIT.PFSTS;
      this.#slot.write32(IGB.V2PMAILBOX, BIT.ACK);
    }
    return reset;
  }

  /** Waits until the PF is not in reset. @throws GuestFault */
  async ready(): Promise<void> {
    await this.#until("reset-state", "says for a second that its PF is in reset", () => {
      return (this.#poll() & BIT.RSTI) === 0;
    });
    this.#bits = 0;
  }

  /** The first dword of the mailbox's memory, where the last message stands. */
  get lastWord(): number {
    return this.#slot.read32(IGB.VMBMEM);
  }

  async #run(request: readonly number[], dwords: number): Promise<number[]> {
    const name = `request 0x${(request[0] ?? 0).toString(16)}`;
    await this.#until("missing-reply", `does not give the buffer for ${name}`, () => this.#lock());
    for (const [at, dword] of request.entries()) this.#slot.write32(IGB.VMBMEM + 4 * at, dword);
    this.#bits &= ~(BIT.PFACK | BIT.PFSTS);
    this.#slot.write32(IGB.V2PMAILBOX, BIT.REQ);
    await this.#until("missing-reply", `does not take ${name}`, () => this.#saw(BIT.PFACK));
    await this.#until("missing-reply", `does not answer ${name}`, () => this.#saw(BIT.PFSTS));
    await this.#until("missing-reply", `keeps the buffer after ${name}`, () => this.#lock());
    const reply = Array.from({ length: dwords }, (_, at) => this.#slot.read32(IGB.VMBMEM + 4 * at));
    this.#slot.write32(IGB.V2PMAILBOX, BIT.ACK);
    this.messages++;
    const [head = 0] = reply;
    if (((head ^ (request[0] ?? 0)) & 0xff_ffff) !== 0) {
      throw new GuestFault("unexpected-reply", `0x${head.toString(16)} answers ${name}`);
    }
    if ((head & (MESSAGE.ACK | MESSAGE.NACK)) === 0) {
      throw new GuestFault("reply", `${name} was neither granted nor refused`, { head });
    }
    return reply;
  }

  #lock(): boolean {
    this.#slot.write32(IGB.V2PMAILBOX, BIT.VFU);
    return (this.#poll() & BIT.VFU) !== 0;
  }

  #saw(bit: number): boolean {
    this.#poll();
    const seen = (this.#bits & bit) !== 0;
    this.#bits &= ~bit;
    return seen;
  }

  #poll(): number {
    const value = this.#slot.read32(IGB.V2PMAILBOX);
    this.#bits |= value & READ_TO_CLEAR;
    return value;
  }

  async #until(
    kind: ConstructorParameters<typeof GuestFault>[0],
    what: string,
    done: () => boolean,
  ): Promise<void> {
    for (let looks = 0; !done(); looks++) {
      if (looks === LOOKS) throw new GuestFault(kind, `the VF ${what}`);
      await this.#sleep(LOOK_MS);
    }
  }
}

export function isGranted([head = 0]: readonly number[]): boolean {
  return (head & MESSAGE.ACK) !== 0;
}
