import type { Clock, VfioDevice } from "@vfmig/core";
import type { GuestFault } from "../guest/fault.ts";
import { GuestClock } from "../guest/guest-clock.ts";
import type { GuestRam } from "../guest/guest-ram.ts";
import type {
  GuestCounters,
  GuestDriver,
  GuestDriverOptions,
  GuestQueueIndices,
  GuestState,
} from "../guest/options.ts";
import { PciSlot } from "../guest/pci-slot.ts";
import { useError } from "../guest/vf-life.ts";
import { IgbVfLife } from "./vf-life.ts";

/**
 * A guest whose driver does what Linux igbvf does with an 82576 VF: the same registers in the same order,
 * the same messages, the same rings; one queue pair, MTU 1500 at most. It knows nothing of migration.
 * @throws VfmigError `ERR_VFMIG_GUEST_USE` for options out of range, `ERR_VFMIG_GUEST_MEMORY`
 */
export function createIgbGuestDriver(options: GuestDriverOptions): GuestDriver {
  return new IgbDriver(options);
}

class IgbDriver implements GuestDriver {
  readonly #ram: GuestRam;
  readonly #slot: PciSlot;
  readonly #clock: GuestClock;
  readonly #life: IgbVfLife;
  #txBusy = 0;

  constructor(options: GuestDriverOptions) {
    this.#ram = options.ram;
    this.#slot = new PciSlot(options.device);
    this.#clock = new GuestClock(options.clock);
    this.#life = new IgbVfLife(options, this.#slot, this.#clock);
  }

  get state(): GuestState {
    return this.#life.state;
  }

  get fault(): GuestFault | undefined {
    return this.#life.fault;
  }

  get clock(): Clock {
    return this.#clock;
  }

  get mac(): string {
    return this.#life.mac;
  }

  get linkUp(): boolean {
    return this.#life.linkUp;
  }

  get counters(): GuestCounters {
    const { pair, counts, interrupts, mailbox } = this.#life;
    return {
      rxFrames: pair.rx.packets - counts.echoes,
      rxBytes: pair.rx.bytes,
      rxErrors: pair.rx.errors,
      txFrames: pair.tx.packets,
      txBytes: pair.tx.bytes,
      txCompleted: pair.tx.completed,
      txDropped: pair.tx.dropped,
      txBusy: this.#txBusy,
      interrupts: interrupts.taken,
      mailboxMessages: mailbox.messages,
      statistics: 0,
      linkChanges: counts.linkChanges,
      resets: counts.resets,
    };
  }

  get indices(): readonly GuestQueueIndices[] {
    const { tx, rx } = this.#life.pair;
    return [
      {
        queue: 0,
        txNextToUse: tx.nextToUse,
        txNextToClean: tx.nextToClean,
        rxNextToUse: rx.nextToUse,
        rxNextToClean: rx.nextToClean,
      },
    ];
  }

  async start(): Promise<void> {
    await this.#life.start();
  }

  send(frame: Uint8Array): boolean {
    const { pair, linkUp } = this.#life;
    let taken = false;
    if (linkUp && pair.enabled && !this.#clock.paused) {
      this.#life.guard(() => (taken = pair.tx.send(frame, this.#clock.now())));
    }
    if (!taken) this.#txBusy++;
    return taken;
  }

  /** Sends a message of the mailbox: its first dword, and a body of whole dwords. */
  async request(operation: number, body: (vsiId: number) => Uint8Array): Promise<Uint8Array> {
    if (this.state !== "running") throw useError(`request of a driver that is ${this.state}`);
    // There is no VSI.
    const bytes = body(0);
    const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const dwords = Array.from({ length: bytes.length >>> 2 }, (_, at) =>
      words.getUint32(4 * at, true),
    );
    const reply = await this.#life.mailbox.exchange([operation, ...dwords]);
    const answer = new DataView(new ArrayBuffer(4 * reply.length));
    for (const [at, dword] of reply.entries()) answer.setUint32(4 * at, dword, true);
    return new Uint8Array(answer.buffer);
  }

  async resetFunction(): Promise<void> {
    await this.#life.resetFunction();
  }

  async remove(): Promise<void> {
    await this.#life.remove();
  }

  pause(): void {
    this.#clock.pause();
  }

  resume(): void {
    this.#clock.resume();
    this.#life.interrupts.takeLatched();
  }

  useMemory(bytes: Uint8Array): void {
    this.rebind({ memory: bytes });
  }

  rebind({ device, memory }: { readonly device?: VfioDevice; readonly memory?: Uint8Array }): void {
    if (!this.#clock.paused) throw useError("another place while the guest runs; pause it first");
    if (memory !== undefined) this.#ram.useMemory(memory);
    if (device !== undefined) this.#slot.replace(device);
  }

  takeWrittenPages(): number[] {
    return this.#ram.takeWrittenPages();
  }
}
