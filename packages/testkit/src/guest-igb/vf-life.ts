import type { Clock } from "@vfmig/core";
import { asFault, GuestFault, useError } from "../guest/fault.ts";
import { guardedClock } from "../guest/guarded-clock.ts";
import type { GuestClock } from "../guest/guest-clock.ts";
import { Interrupts } from "../guest/interrupts.ts";
import type { GuestDriverOptions, GuestQueueIndices } from "../guest/options.ts";
import type { PciSlot } from "../guest/pci-slot.ts";
import { countersOf, indicesOf } from "../guest/ring-sums.ts";
import { Standing } from "../guest/standing.ts";
import type { VfLife } from "../guest/vf-life.ts";
import { Watchdog } from "../guest/watchdog.ts";
import { isFrom, parseMac } from "../traffic/ethernet.ts";
import { IgbMailbox, isGranted } from "./mailbox.ts";
import { IgbQueuePair } from "./queue-pair.ts";
import { CTRL_RST, IGB, MESSAGE, STATUS_LU, VECTOR, VECTORS } from "./registers.ts";
import { macOf, macRequest, maxFrameRequest, multicastRequest, vlanRequest } from "./requests.ts";

/** How long igbvf lets queues come to rest, in milliseconds. */
const QUEUE_OFF_MS = 10;
const DEFAULT_MAC = "02:00:00:00:00:0a";
/** 20,000 interrupts a second, as igbvf begins with. */
const INTERVAL = 196;

/** The life of an 82576 VF in its driver's hands, in igbvf's order. */
export class IgbVfLife implements VfLife {
  readonly standing: Standing;
  readonly interrupts: Interrupts;
  readonly #options: GuestDriverOptions;
  readonly #slot: PciSlot;
  readonly #clock: Clock;
  readonly #mailbox: IgbMailbox;
  readonly #pair: IgbQueuePair;
  readonly #watchdog: Watchdog;
  readonly #failure: PromiseWithResolvers<never> = Promise.withResolvers();
  #mac: string;
  #ownMac: Uint8Array;
  /** The guest's own broadcasts, which QEMU's igb gives back to their sender. */
  #echoes = 0;

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
    this.#mac = options.mac ?? DEFAULT_MAC;
    this.#ownMac = parseMac(this.#mac);
    this.standing = new Standing(options, (fault) => this.#stopAll(fault));
    const guarded = guardedClock(clock, (run) => this.standing.guard(run));
    this.#clock = guarded;
    this.#mailbox = new IgbMailbox(slot, (ms) => this.#sleep(ms));
    this.#watchdog = new Watchdog(guarded, () => this.#look());
    this.#pair = new IgbQueuePair({
      slot,
      ram,
      clock: guarded,
      onFrame: (frame, queue) => this.#take(frame, queue),
      ringSize,
      txSegment,
      interval: INTERVAL,
    });
    const handle = (vector: number): void => this.standing.guard(() => this.#handle(vector));
    this.interrupts = new Interrupts({ slot, clock, createEvent: options.createEvent, handle });
    this.#failure.promise.catch(() => undefined);
  }

  get mac(): string {
    return this.#mac;
  }

  get counters(): VfLife["counters"] {
    const { tx, rx } = this.#pair;
    const sums = countersOf([tx], [rx]);
    return {
      ...sums,
      rxFrames: sums.rxFrames - this.#echoes,
      mailboxMessages: this.#mailbox.messages,
      statistics: 0,
      linkChanges: this.standing.linkChanges,
      resets: this.standing.resets,
    };
  }

  get indices(): GuestQueueIndices[] {
    return indicesOf([this.#pair.tx], [this.#pair.rx]);
  }

  /** igbvf_probe and igbvf_open; settles with the carrier. @throws GuestFault */
  async start(): Promise<void> {
    const { state } = this.standing;
    if (state !== "off" || this.interrupts.enabled) {
      throw useError(`start of a driver that is or was ${state}`);
    }
    this.standing.state = "starting";
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
    this.standing.requireRunning("reset");
    await this.#work(async () => await this.#again());
  }

  async remove(): Promise<void> {
    this.standing.requireRunning("removal");
    this.standing.state = "stopping";
    await this.#work(async () => {
      await this.#close();
      this.#slot.disableInterrupts();
      this.standing.state = "off";
    });
  }

  send(frame: Uint8Array): boolean {
    return this.#pair.enabled && this.#pair.tx.send(frame, this.#clock.now());
  }

  /** Sends a message of the mailbox: its first dword, and a body of whole dwords. */
  async request(operation: number, body: (vsiId: number) => Uint8Array): Promise<Uint8Array> {
    this.standing.requireRunning("request");
    // There is no VSI.
    const bytes = body(0);
    const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const dwords = Array.from({ length: bytes.length >>> 2 }, (_, at) =>
      words.getUint32(4 * at, true),
    );
    const exchange = this.#mailbox.exchange([operation, ...dwords]);
    const reply = await Promise.race([exchange, this.#failure.promise]);
    const answer = new DataView(new ArrayBuffer(4 * reply.length));
    for (const [at, dword] of reply.entries()) answer.setUint32(4 * at, dword, true);
    return new Uint8Array(answer.buffer);
  }

  async #work(run: () => Promise<void>): Promise<void> {
    try {
      await Promise.race([run(), this.#failure.promise]);
    } catch (error) {
      const fault = asFault(error);
      this.standing.break(fault);
      throw fault;
    }
  }

  #stopAll(fault: GuestFault): void {
    this.#watchdog.cancel();
    this.#pair.disable();
    this.#failure.reject(fault);
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
    await this.#mailbox.ready();
    const given = macOf(await this.#mailbox.exchange([MESSAGE.RESET], 3));
    if (first) {
      if (given !== undefined) this.#useMac(given);
      return;
    }
    const granted = isGranted(await this.#mailbox.exchange(macRequest(this.#mac)));
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
      if (isGranted(await this.#mailbox.exchange(request))) return;
      throw new GuestFault("refused", `the PF refuses 0x${(request[0] ?? 0).toString(16)}`);
    };
    await ask(multicastRequest(multicast));
    for (const id of vlans) await ask(vlanRequest(id));
    this.#pair.off();
    await this.#sleep(QUEUE_OFF_MS);
    this.#pair.configureTx();
    this.#pair.configureRx();
    await ask(maxFrameRequest(mtu));
    this.#pair.fill();
    this.#pair.enable();
    this.standing.state = "running";
    this.#checkLink();
    if (!this.standing.linkUp)
      throw new GuestFault("no-carrier", "STATUS tells no link, or no CTS came");
    this.#watchdog.arm();
  }

  async #close(): Promise<void> {
    this.#watchdog.cancel();
    this.standing.setLink(false);
    this.#pair.disable();
    this.#pair.off();
    await this.#sleep(QUEUE_OFF_MS);
    this.#quiet();
    await this.#resetHardware(false);
  }

  async #again(): Promise<void> {
    this.standing.state = "resetting";
    this.standing.resets++;
    await this.#close();
    await this.#open();
  }

  #handle(vector: number): void {
    if (vector === VECTOR.tx) this.#pair.transmitted();
    else if (vector === VECTOR.rx) this.#pair.received();
    else this.#told();
  }

  /** The mailbox's vector: igbvf looks after the link, and rewrites its mask. */
  #told(): void {
    if (this.standing.state === "running") this.#checkLink();
    this.#slot.write32(IGB.EIMS, 1 << VECTOR.mailbox);
  }

  #take(frame: Uint8Array, queue: number): void {
    if (isFrom(frame, this.#ownMac)) this.#echoes++;
    else this.#options.onFrame(frame, queue);
  }

  /** Up is STATUS.LU and a mailbox whose last word says that the PF listens. */
  #checkLink(): void {
    if (!this.#mailbox.busy && this.#mailbox.look()) {
      void this.#work(async () => await this.#again()).catch(() => undefined);
      return;
    }
    const up = (this.#slot.read32(IGB.STATUS) & STATUS_LU) !== 0;
    const listens = (this.#mailbox.lastWord & MESSAGE.CTS) !== 0;
    this.standing.setLink(up && (this.standing.linkUp || listens));
  }

  /**
   * Unlike igbvf's, this watchdog does not raise the receive vector itself: a lost interrupt is to show,
   * not to heal.
   */
  #look(): void {
    if (this.standing.state !== "running") return;
    this.#checkLink();
    this.#pair.checkStall();
  }
}
