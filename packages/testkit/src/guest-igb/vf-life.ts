import type { Timer } from "@vfmig/core";
import { asFault, GuestFault } from "../guest/fault.ts";
import type { GuestClock } from "../guest/guest-clock.ts";
import { Interrupts } from "../guest/interrupts.ts";
import type { GuestDriverOptions, GuestState } from "../guest/options.ts";
import type { PciSlot } from "../guest/pci-slot.ts";
import { useError } from "../guest/vf-life.ts";
import { isFrom, parseMac } from "../traffic/ethernet.ts";
import { IgbMailbox, isGranted } from "./mailbox.ts";
import { IgbQueuePair } from "./queue-pair.ts";
import { CTRL_RST, IGB, MESSAGE, STATUS_LU, VECTOR, VECTORS } from "./registers.ts";
import { macOf, macRequest, maxFrameRequest, multicastRequest, vlanRequest } from "./requests.ts";

/** Times of igbvf, in milliseconds. */
const WATCHDOG_MS = 2000;
const QUEUE_OFF_MS = 10;
const DEFAULT_MAC = "02:00:00:00:00:0a";
/** 20,000 interrupts a second, as igbvf begins with. */
const INTERVAL = 196;

/** Counts of what is no frame of a queue. */
export interface IgbLifeCounts {
  linkChanges: number;
  resets: number;
  /** The guest's own broadcasts, which QEMU's igb gives back to their sender. */
  echoes: number;
}

/** The life of an 82576 VF in its driver's hands, in igbvf's order. */
export class IgbVfLife {
  readonly counts: IgbLifeCounts = { linkChanges: 0, resets: 0, echoes: 0 };
  readonly interrupts: Interrupts;
  readonly mailbox: IgbMailbox;
  readonly pair: IgbQueuePair;
  readonly #options: GuestDriverOptions;
  readonly #slot: PciSlot;
  readonly #clock: GuestClock;
  #mac: string;
  #ownMac: Uint8Array;
  #state: GuestState = "off";
  #fault: GuestFault | undefined;
  #linkUp = false;
  #watchdog: Timer | undefined;
  #failure: PromiseWithResolvers<never> = Promise.withResolvers();

  constructor(options: GuestDriverOptions, slot: PciSlot, clock: GuestClock) {
    const { ringSize = 512, mtu = 1500, txSegment = 1024, ram } = options;
    const sound = ringSize >= 64 && ringSize <= 4096 && ringSize % 8 === 0;
    if (!sound || !(mtu >= 68 && mtu <= 1500)) {
      throw useError(
        `rings of ${ringSize}, MTU ${mtu} cannot be; 64 to 4,096 in steps of 8, 68 to 1500`,
      );
    }
    this.#options = options;
    this.#slot = slot;
    this.#clock = clock;
    this.#mac = options.mac ?? DEFAULT_MAC;
    this.#ownMac = parseMac(this.#mac);
    this.mailbox = new IgbMailbox(slot, (ms) => this.#sleep(ms));
    const guard = (run: () => void): void => this.guard(run);
    const onFrame = (frame: Uint8Array, queue: number): void => this.#take(frame, queue);
    const interval = INTERVAL;
    this.pair = new IgbQueuePair({
      slot,
      ram,
      clock,
      onFrame,
      guard,
      ringSize,
      txSegment,
      interval,
    });
    const handle = (vector: number): void => this.guard(() => this.#handle(vector));
    this.interrupts = new Interrupts({ slot, clock, createEvent: options.createEvent, handle });
    this.#failure.promise.catch(() => undefined);
  }

  get state(): GuestState {
    return this.#state;
  }

  get fault(): GuestFault | undefined {
    return this.#fault;
  }

  get mac(): string {
    return this.#mac;
  }

  get linkUp(): boolean {
    return this.#linkUp;
  }

  /** igbvf_probe and igbvf_open; settles with the carrier. @throws GuestFault */
  async start(): Promise<void> {
    if (this.#state !== "off") throw useError(`start of a driver that is ${this.#state}`);
    this.#state = "starting";
    await this.#work(async () => {
      this.#slot.probe({ devices: new Set([0x10ca]), bar0: 0x4000 });
      this.interrupts.enable(VECTORS);
      this.#quiet();
      await this.#resetHardware(true);
      await this.#resetHardware(false);
      await this.#open();
    });
  }

  /** The interface down and up again. @throws GuestFault */
  async resetFunction(): Promise<void> {
    if (this.#state !== "running") throw useError(`reset of a driver that is ${this.#state}`);
    await this.#work(async () => await this.#again());
  }

  async remove(): Promise<void> {
    if (this.#state !== "running") throw useError(`removal of a driver that is ${this.#state}`);
    this.#state = "stopping";
    await this.#work(async () => {
      await this.#close();
      this.#slot.disableInterrupts();
      this.#state = "off";
    });
  }

  /** Runs what may find a fault; the guest is broken then. */
  guard(run: () => void): void {
    if (this.#state === "broken") return;
    try {
      run();
    } catch (error) {
      this.#break(asFault(error));
    }
  }

  async #work(run: () => Promise<void>): Promise<void> {
    try {
      await Promise.race([run(), this.#failure.promise]);
    } catch (error) {
      const fault = asFault(error);
      this.#break(fault);
      throw fault;
    }
  }

  #break(fault: GuestFault): void {
    if (this.#state === "broken") return;
    this.#state = "broken";
    this.#fault = fault;
    this.#watchdog?.cancel();
    this.pair.disable();
    this.#failure.reject(fault);
    this.#options.onFault(fault);
  }

  async #sleep(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#clock.after(ms, resolve);
    });
  }

  #quiet(): void {
    this.#slot.write32(IGB.EIMC, 0xffff_ffff);
    this.#slot.write32(IGB.EIAC, 0);
  }

  /** e1000_reset_hw_vf, and the address. */
  async #resetHardware(first: boolean): Promise<void> {
    this.#slot.write32(IGB.CTRL, CTRL_RST);
    await this.mailbox.ready();
    const given = macOf(await this.mailbox.exchange([MESSAGE.RESET], 3));
    if (first) {
      if (given !== undefined) this.#useMac(given);
      return;
    }
    const granted = isGranted(await this.mailbox.exchange(macRequest(this.#mac)));
    // An untrusted VF may not even set the address that its PF gave it.
    if (!granted && given !== this.#mac) {
      throw new GuestFault("refused", `the PF refuses the address ${this.#mac}`, { given });
    }
  }

  #useMac(mac: string): void {
    this.#mac = mac;
    this.#ownMac = parseMac(mac);
  }

  async #open(): Promise<void> {
    const { multicast = [], vlans = [], mtu = 1500 } = this.#options;
    const ask = async (request: number[]): Promise<void> => {
      if (isGranted(await this.mailbox.exchange(request))) return;
      throw new GuestFault("refused", `the PF refuses 0x${(request[0] ?? 0).toString(16)}`);
    };
    await ask(multicastRequest(multicast));
    for (const id of vlans) await ask(vlanRequest(id));
    this.pair.off();
    await this.#sleep(QUEUE_OFF_MS);
    this.pair.configureTx();
    this.pair.configureRx();
    await ask(maxFrameRequest(mtu));
    this.pair.fill();
    this.pair.enable();
    this.#state = "running";
    this.#checkLink();
    if (!this.#linkUp) throw new GuestFault("no-carrier", "STATUS tells no link, or no CTS came");
    this.#armWatchdog();
  }

  async #close(): Promise<void> {
    this.#watchdog?.cancel();
    this.#setLink(false);
    this.pair.disable();
    this.pair.off();
    await this.#sleep(QUEUE_OFF_MS);
    this.#quiet();
    await this.#resetHardware(false);
  }

  async #again(): Promise<void> {
    this.#state = "resetting";
    this.counts.resets++;
    await this.#close();
    await this.#open();
  }

  #handle(vector: number): void {
    if (vector === VECTOR.tx) this.pair.transmitted();
    else if (vector === VECTOR.rx) this.pair.received();
    else this.#told();
  }

  /** The mailbox's vector: igbvf looks after the link, and rewrites its mask. */
  #told(): void {
    if (this.#state === "running") this.#checkLink();
    this.#slot.write32(IGB.EIMS, 1 << VECTOR.mailbox);
  }

  #take(frame: Uint8Array, queue: number): void {
    if (isFrom(frame, this.#ownMac)) this.counts.echoes++;
    else this.#options.onFrame(frame, queue);
  }

  /** Up is STATUS.LU and a mailbox whose last word says that the PF listens. */
  #checkLink(): void {
    if (!this.mailbox.busy && this.mailbox.look()) {
      void this.#work(async () => await this.#again()).catch(() => undefined);
      return;
    }
    const up = (this.#slot.read32(IGB.STATUS) & STATUS_LU) !== 0;
    const listens = (this.mailbox.lastWord & MESSAGE.CTS) !== 0;
    this.#setLink(up && (this.#linkUp || listens));
  }

  #setLink(up: boolean): void {
    if (up === this.#linkUp) return;
    this.#linkUp = up;
    this.counts.linkChanges++;
    this.#options.onLink?.(up);
  }

  /**
   * Unlike igbvf's, this watchdog does not raise the receive vector itself: a lost interrupt is to show,
   * not to heal.
   */
  #armWatchdog(): void {
    this.#watchdog?.cancel();
    this.#watchdog = this.#clock.after(WATCHDOG_MS, () => {
      this.guard(() => {
        if (this.#state !== "running") return;
        this.#checkLink();
        this.pair.checkStall();
      });
      if (this.#state === "running") this.#armWatchdog();
    });
  }
}
