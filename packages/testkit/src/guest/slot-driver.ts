import type { Clock, VfioDevice } from "@vfmig/core";
import { type GuestFault, useError } from "./fault.ts";
import { GuestClock } from "./guest-clock.ts";
import type { GuestRam } from "./guest-ram.ts";
import type {
  GuestCounters,
  GuestDriver,
  GuestDriverOptions,
  GuestQueueIndices,
  GuestState,
} from "./options.ts";
import { PciSlot } from "./pci-slot.ts";
import type { VfLife } from "./vf-life.ts";

/** Begins the life of the VF in a slot; it runs on the guest's time. */
export type BeginLife<Life extends VfLife> = (
  options: GuestDriverOptions,
  slot: PciSlot,
  clock: GuestClock,
) => Life;

/** The driver of the VF in a guest's slot, whichever NIC it is of; the guest can stand still and move. */
export class SlotDriver<Life extends VfLife = VfLife> implements GuestDriver {
  protected readonly life: Life;
  readonly #ram: GuestRam;
  readonly #slot: PciSlot;
  readonly #clock: GuestClock;
  #txBusy = 0;

  constructor(options: GuestDriverOptions, begin: BeginLife<Life>) {
    this.#ram = options.ram;
    this.#slot = new PciSlot(options.device);
    this.#clock = new GuestClock(options.clock);
    this.life = begin(options, this.#slot, this.#clock);
  }

  get state(): GuestState {
    return this.life.standing.state;
  }

  get fault(): GuestFault | undefined {
    return this.life.standing.fault;
  }

  get clock(): Clock {
    return this.#clock;
  }

  get mac(): string {
    return this.life.mac;
  }

  get linkUp(): boolean {
    return this.life.standing.linkUp;
  }

  get counters(): GuestCounters {
    const { counters, interrupts } = this.life;
    return { ...counters, txBusy: this.#txBusy, interrupts: interrupts.taken };
  }

  get indices(): readonly GuestQueueIndices[] {
    return this.life.indices;
  }

  async start(): Promise<void> {
    await this.life.start();
  }

  send(frame: Uint8Array): boolean {
    const { standing } = this.life;
    let taken = false;
    if (standing.linkUp && !this.#clock.paused) {
      standing.guard(() => (taken = this.life.send(frame)));
    }
    if (!taken) this.#txBusy++;
    return taken;
  }

  async request(operation: number, body: (vsiId: number) => Uint8Array): Promise<Uint8Array> {
    return await this.life.request(operation, body);
  }

  async resetFunction(): Promise<void> {
    await this.life.resetFunction();
  }

  async remove(): Promise<void> {
    await this.life.remove();
  }

  pause(): void {
    this.#clock.pause();
  }

  resume(): void {
    this.#clock.resume();
    this.life.interrupts.takeLatched();
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
