import type { Clock, VfioDevice } from "@vfmig/core";
import type { VfResources } from "@vfmig/iavf";
import type { GuestFault } from "./fault.ts";
import { GuestClock } from "./guest-clock.ts";
import type { GuestRam } from "./guest-ram.ts";
import type {
  GuestCounters,
  GuestDriverOptions,
  GuestQueueIndices,
  GuestReply,
  GuestState,
  VirtchnlGuestDriver,
} from "./options.ts";
import { PciSlot } from "./pci-slot.ts";
import { NO_QUEUE_COUNTERS } from "./queue-set.ts";
import { useError, VfLife } from "./vf-life.ts";

/**
 * A guest whose driver does what Linux iavf does with its VF: the same registers in the same order,
 * the same requests, the same rings. It knows nothing of migration.
 * @throws VfmigError `ERR_VFMIG_GUEST_USE` for options out of range, `ERR_VFMIG_GUEST_MEMORY`
 *
 * @example
 * const ram = new GuestRam({ bytes: new Uint8Array(32 << 20), iova: 0n });
 * const driver = createGuestDriver({
 *   device, ram, clock: systemClock, createEvent: directEvent,
 *   onFrame: (frame) => console.log(frame.length), onFault: (fault) => console.error(fault.message),
 * });
 * await driver.start();
 */
export function createGuestDriver(options: GuestDriverOptions): VirtchnlGuestDriver {
  return new Driver(options);
}

class Driver implements VirtchnlGuestDriver {
  readonly #ram: GuestRam;
  readonly #slot: PciSlot;
  readonly #clock: GuestClock;
  readonly #life: VfLife;
  #txBusy = 0;

  constructor(options: GuestDriverOptions) {
    this.#ram = options.ram;
    this.#slot = new PciSlot(options.device);
    this.#clock = new GuestClock(options.clock);
    this.#life = new VfLife(options, this.#slot, this.#clock);
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
    const { counts, interrupts, queues } = this.#life;
    const frames = queues?.counters ?? NO_QUEUE_COUNTERS;
    return { ...frames, ...counts, txBusy: this.#txBusy, interrupts: interrupts.taken };
  }

  get indices(): readonly GuestQueueIndices[] {
    return this.#life.queues?.indices ?? [];
  }

  async start(): Promise<void> {
    await this.#life.start();
  }

  send(frame: Uint8Array): boolean {
    let taken = false;
    if (this.#life.linkUp && !this.#clock.paused) {
      this.#life.guard(() => (taken = this.#life.queues?.send(frame) ?? false));
    }
    if (!taken) this.#txBusy++;
    return taken;
  }

  async request(operation: number, body: (vsiId: number) => Uint8Array): Promise<Uint8Array> {
    return await this.#life.request(operation, body);
  }

  async resetFunction(): Promise<void> {
    await this.#life.resetFunction();
  }

  get linkSpeed(): number {
    return this.#life.linkSpeed;
  }

  get resources(): VfResources | undefined {
    return this.#life.resources;
  }

  async ask(operation: number, body: (vsiId: number) => Uint8Array): Promise<GuestReply> {
    return await this.#life.ask(operation, body);
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
