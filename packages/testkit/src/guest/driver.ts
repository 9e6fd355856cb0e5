import { type Clock, type Timer, type VfioDevice, VfmigError } from "@vfmig/core";
import {
  buildResourcesRequest,
  buildVersion,
  DYN_CTL,
  IAVF_6_1_CAPS,
  ICR0_ENA,
  MAC_KIND,
  parseEvent,
  parseResources,
  parseStats,
  parseVersion,
  RSTAT,
  VF_EVENT,
  VF_REGISTER,
  type VfResources,
  VIRTCHNL_OP,
  vectorControl,
  VSI_TYPE_SRIOV,
} from "@vfmig/iavf";
import {
  type BringUp,
  bringUpRequests,
  macRequest,
  queuesRequest,
  receiveSizes,
  statsRequest,
  writeRssRegisters,
} from "./bring-up.ts";
import { asFault, GuestFault } from "./fault.ts";
import { GuestClock } from "./guest-clock.ts";
import type { GuestRam } from "./guest-ram.ts";
import { Interrupts } from "./interrupts.ts";
import { Mailbox, type MailboxMessage } from "./mailbox.ts";
import type {
  GuestCounters,
  GuestDriver,
  GuestDriverOptions,
  GuestQueueIndices,
  GuestState,
} from "./options.ts";
import { PciSlot } from "./pci-slot.ts";
import { NO_QUEUE_COUNTERS, QueueSet } from "./queue-set.ts";
import { type GuestRequest, Requests } from "./requests.ts";

/** Times of iavf, in milliseconds. */
const WATCHDOG_MS = 2000;
const INIT_POLL_MS = 30;
const RESET_POLL_MS = 10;
/** Looks for the start of a reset, and for its end; as often as iavf looks. */
const RESET_START_POLLS = 500;
const RESET_END_POLLS = 2000;
/** After ENABLE_QUEUES the PF tells the link's state; iavf would wait for ever. */
const CARRIER_LIMIT_MS = 10_000;
/** Between RESET_VF and the mailbox's end when the driver is removed. */
const REMOVE_MS = 50;
const NO_MAC = "00:00:00:00:00:00";

/** The same key in every guest, so that a run can be repeated. */
const RSS_KEY: Uint8Array = Uint8Array.from({ length: 64 }, (_, i) => (i * 167 + 29) & 0xff);

/**
 * A guest whose driver does what Linux iavf does with its VF: the same registers in the same order,
 * the same requests, the same rings. It knows nothing of migration.
 * @throws VfmigError `ERR_VFMIG_GUEST_USE` for options out of range
 */
export function createGuestDriver(options: GuestDriverOptions): GuestDriver {
  return new Driver(options);
}

class Driver implements GuestDriver {
  readonly #options: GuestDriverOptions;
  readonly #ram: GuestRam;
  readonly #slot: PciSlot;
  readonly #clock: GuestClock;
  readonly #mailbox: Mailbox;
  readonly #requests: Requests;
  readonly #ringSize: number;
  readonly #mtu: number;
  readonly #interrupts: Interrupts;
  #queues: QueueSet | undefined;
  #plan: BringUp | undefined;
  #state: GuestState = "off";
  #fault: GuestFault | undefined;
  #filtersSet = false;
  #linkUp = false;
  #carrier: PromiseWithResolvers<undefined> | undefined;
  #carrierTimer: Timer | undefined;
  #watchdog: Timer | undefined;
  #mailboxScheduled = false;
  readonly #counts = {
    txBusy: 0,
    mailboxMessages: 0,
    statistics: 0,
    linkChanges: 0,
    resets: 0,
  };

  constructor(options: GuestDriverOptions) {
    const { queuePairs = 4, ringSize = 512, mtu = 1500 } = options;
    const sound = ringSize >= 64 && ringSize <= 4096 && ringSize % 32 === 0;
    if (!sound || !(queuePairs >= 1 && queuePairs <= 16) || !(mtu >= 68 && mtu <= 9702)) {
      const given = `${queuePairs} queue pairs, rings of ${ringSize}, MTU ${mtu}`;
      throw useError(`${given} cannot be; 1 to 16 pairs, 64 to 4,096 in steps of 32, 68 to 9702`);
    }
    this.#options = options;
    this.#ram = options.ram;
    this.#ringSize = ringSize;
    this.#mtu = mtu;
    this.#slot = new PciSlot(options.device);
    this.#clock = new GuestClock(options.clock);
    this.#mailbox = new Mailbox(this.#slot, this.#ram);
    this.#requests = new Requests(this.#mailbox, this.#clock, (run) => this.#guard(run));
    this.#interrupts = new Interrupts({
      slot: this.#slot,
      clock: this.#clock,
      createEvent: options.createEvent,
      handle: (vector) => this.#handle(vector),
    });
  }

  get state(): GuestState {
    return this.#state;
  }

  get fault(): GuestFault | undefined {
    return this.#fault;
  }

  get clock(): Clock {
    return this.#clock;
  }

  get mac(): string {
    return this.#plan?.mac ?? this.#options.mac ?? NO_MAC;
  }

  get linkUp(): boolean {
    return this.#linkUp;
  }

  get counters(): GuestCounters {
    const queues = this.#queues?.counters ?? NO_QUEUE_COUNTERS;
    return { ...this.#counts, ...queues, interrupts: this.#interrupts.taken };
  }

  get indices(): readonly GuestQueueIndices[] {
    return this.#queues?.indices ?? [];
  }

  async start(): Promise<void> {
    if (this.#state !== "off" || this.#queues !== undefined) {
      throw useError(`start of a driver that is or was ${this.#state}`);
    }
    this.#state = "starting";
    const carrier = Promise.withResolvers<undefined>();
    this.#carrier = carrier;
    this.#guard(() => {
      this.#slot.probe();
      this.#awaitState(1, () => this.#startMailbox());
    });
    await carrier.promise;
  }

  send(frame: Uint8Array): boolean {
    let taken = false;
    if (this.#linkUp && !this.#clock.paused) {
      this.#guard(() => (taken = this.#queues?.send(frame) ?? false));
    }
    if (!taken) this.#counts.txBusy++;
    return taken;
  }

  async resetFunction(): Promise<void> {
    if (this.#state !== "running") throw useError(`reset of a driver that is ${this.#state}`);
    const carrier = Promise.withResolvers<undefined>();
    this.#submit({ operation: VIRTCHNL_OP.RESET_VF, body: none }, () => {
      this.#beginReset();
      this.#carrier = carrier;
    });
    await carrier.promise;
  }

  async remove(): Promise<void> {
    if (this.#state !== "running") throw useError(`removal of a driver that is ${this.#state}`);
    const plan = this.#bringUp();
    const gone = Promise.withResolvers<undefined>();
    this.#state = "stopping";
    this.#carrier = gone;
    this.#setLink(false);
    this.#submit(queuesRequest(VIRTCHNL_OP.DISABLE_QUEUES, plan), () => {
      this.#stopQueues();
      this.#submit({ operation: VIRTCHNL_OP.RESET_VF, body: none }, () => {
        this.#later(REMOVE_MS, () => this.#letGo());
      });
    });
    await gone.promise;
  }

  pause(): void {
    this.#clock.pause();
  }

  resume(): void {
    this.#clock.resume();
    this.#interrupts.takeLatched();
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

  /** Runs a piece of the guest; what it throws breaks the guest. */
  #guard(run: () => void): void {
    if (this.#fault !== undefined) return;
    try {
      run();
    } catch (error) {
      this.#break(asFault(error));
    }
  }

  #break(fault: GuestFault): void {
    this.#fault = fault;
    this.#state = "broken";
    this.#linkUp = false;
    this.#watchdog?.cancel();
    this.#carrierTimer?.cancel();
    this.#requests.clear();
    this.#queues?.disable();
    this.#carrier?.reject(fault);
    this.#carrier = undefined;
    this.#options.onFault(fault);
  }

  #later(delayMs: number, run: () => void): Timer {
    return this.#clock.after(delayMs, () => this.#guard(run));
  }

  #submit(request: Omit<GuestRequest, "done">, done: (reply: Uint8Array) => void): void {
    this.#requests.submit({ ...request, done });
  }

  /** Polls RSTAT; `least` is 1 at the start, where COMPLETED will do, and 2 after a reset. */
  #awaitState(least: 1 | 2, then: () => void, polls: number = RESET_END_POLLS): void {
    const state = this.#slot.read32(VF_REGISTER.VFGEN_RSTAT) & RSTAT.MASK;
    if (state === RSTAT.ACTIVE || state === least) {
      then();
      return;
    }
    if (polls === 0) throw new GuestFault("reset-state", `RSTAT stays ${state}`, { state });
    this.#later(RESET_POLL_MS, () => this.#awaitState(least, then, polls - 1));
  }

  #startMailbox(): void {
    this.#mailbox.init();
    this.#submit({ operation: VIRTCHNL_OP.VERSION, body: () => buildVersion() }, (reply) => {
      const { major, minor } = parseVersion(reply);
      if (major !== 1 || minor > 1) {
        throw new GuestFault("reply", `the PF speaks virtchnl ${major}.${minor}`, { major, minor });
      }
      this.#askResources((resources) => this.#configure(resources));
    });
    this.#pollMailbox();
  }

  /** Until the mailbox's vector is set up, answers are looked for. */
  #pollMailbox(): void {
    this.#later(INIT_POLL_MS, () => {
      this.#requests.check();
      this.#mailbox.drain((message) => this.#message(message));
      if (!this.#interrupts.enabled) this.#pollMailbox();
    });
  }

  #askResources(then: (resources: VfResources) => void): void {
    const caps = this.#options.capabilities ?? IAVF_6_1_CAPS;
    const body = (): Uint8Array => buildResourcesRequest(caps);
    this.#submit({ operation: VIRTCHNL_OP.GET_VF_RESOURCES, body }, (reply) => {
      const resources = parseResources(reply);
      if (resources.vsiType !== VSI_TYPE_SRIOV || resources.queuePairs < 1) {
        throw new GuestFault("reply", "the PF grants no SR-IOV VSI with a queue pair", {
          resources,
        });
      }
      if (resources.maxVectors < 2) throw new GuestFault("reply", "the PF grants 1 vector");
      then(resources);
    });
  }

  /** First bring-up: rings and vectors come into being. */
  #configure(resources: VfResources): void {
    const pairs = Math.min(resources.queuePairs, this.#options.queuePairs ?? 4);
    const vectors = Math.min(pairs, resources.maxVectors - 1);
    this.#queues = new QueueSet({
      slot: this.#slot,
      ram: this.#ram,
      clock: this.#clock,
      onFrame: this.#options.onFrame,
      guard: (run) => this.#guard(run),
      pairs,
      vectors,
      ringSize: this.#ringSize,
      rxBuffer: receiveSizes(this.#mtu, resources.maxFrame).buffer,
      txSegment: this.#options.txSegment ?? 1024,
    });
    this.#interrupts.enable(1 + vectors);
    this.#adopt(resources, this.#queues);
    this.#armMailbox();
    this.#bringQueuesUp();
    this.#armWatchdog();
  }

  #adopt(resources: VfResources, queues: QueueSet): void {
    const { mac, multicast = [] } = this.#options;
    this.#plan = {
      resources,
      mac:
        resources.mac === NO_MAC ? (this.#plan?.mac ?? mac ?? "02:00:00:00:00:0a") : resources.mac,
      multicast,
      queues,
      ringSize: this.#ringSize,
      mtu: this.#mtu,
      rssKey: RSS_KEY,
    };
  }

  #bringUp(): BringUp {
    if (this.#plan === undefined) throw useError("the device was not brought up");
    return this.#plan;
  }

  /** Rings anew, tails before CONFIG_VSI_QUEUES, and the requests up to ENABLE_QUEUES. */
  #bringQueuesUp(): void {
    const plan = this.#bringUp();
    writeRssRegisters(plan, this.#slot);
    plan.queues.writeIntervals();
    for (const request of bringUpRequests(plan)) {
      const { operation, body } = request;
      const rings = operation === VIRTCHNL_OP.CONFIG_VSI_QUEUES;
      const make = (): Uint8Array => {
        if (rings) plan.queues.reset();
        return body();
      };
      const last = operation === VIRTCHNL_OP.ENABLE_QUEUES;
      this.#submit({ operation, body: make }, () => {
        if (last) this.#queuesRun(plan);
      });
    }
  }

  #queuesRun(plan: BringUp): void {
    this.#state = "running";
    plan.queues.enable();
    this.#filtersSet = plan.multicast.length === 0;
    if (!this.#filtersSet) {
      this.#submit(macRequest(plan, plan.multicast, MAC_KIND.EXTRA), () => {
        this.#filtersSet = true;
        this.#tellReady();
      });
    }
    this.#carrierTimer = this.#later(CARRIER_LIMIT_MS, () => {
      throw new GuestFault("no-carrier", "no link event came within 10 s of ENABLE_QUEUES");
    });
  }

  #handle(vector: number): void {
    if (this.#fault !== undefined) return;
    if (vector > 0) {
      this.#queues?.vectors[vector - 1]?.interrupt();
      return;
    }
    // The handler reads the causes in the interrupt, and leaves the rest to a work item.
    if (this.#mailboxScheduled) return;
    this.#mailboxScheduled = true;
    this.#clock.soon(() => {
      this.#mailboxScheduled = false;
      this.#guard(() => this.#mailboxInterrupt());
    });
  }

  #mailboxInterrupt(): void {
    if (this.#state === "off") return;
    this.#slot.read32(VF_REGISTER.VFINT_ICR01);
    this.#slot.read32(VF_REGISTER.VFINT_ICR0_ENA1);
    this.#mailbox.drain((message) => this.#message(message));
    this.#mailbox.clearErrors();
    this.#armMailbox();
  }

  #armMailbox(): void {
    this.#slot.write32(vectorControl(0), DYN_CTL.REARM);
    this.#slot.write32(VF_REGISTER.VFINT_ICR0_ENA1, ICR0_ENA.ADMINQ);
    this.#slot.read32(VF_REGISTER.VFGEN_RSTAT);
  }

  #message(message: MailboxMessage): void {
    this.#counts.mailboxMessages++;
    if (message.operation !== VIRTCHNL_OP.EVENT) {
      this.#requests.answer(message);
      return;
    }
    const { event, linkUp } = parseEvent(message.body);
    if (event === VF_EVENT.RESET_IMPENDING)
      this.#clock.soon(() => this.#guard(() => this.#beginReset()));
    // iavf ignores the link's state until its queues run.
    else if (event === VF_EVENT.LINK_CHANGE && this.#queues?.enabled === true)
      this.#setLink(linkUp);
  }

  #setLink(up: boolean): void {
    if (up) this.#carrierTimer?.cancel();
    if (up === this.#linkUp) return;
    this.#linkUp = up;
    this.#counts.linkChanges++;
    this.#options.onLink?.(up);
    this.#tellReady();
  }

  /** Ready is a carrier and all filters, so that no frame is missed from then on. */
  #tellReady(): void {
    if (this.#state !== "running" || !this.#linkUp || !this.#filtersSet) return;
    this.#carrier?.resolve(undefined);
    this.#carrier = undefined;
  }

  #armWatchdog(): void {
    this.#watchdog?.cancel();
    this.#watchdog = this.#later(WATCHDOG_MS, () => {
      this.#watch();
      this.#armWatchdog();
    });
  }

  #watch(): void {
    if (this.#state !== "running") return;
    if (!this.#mailbox.enabled) {
      this.#beginReset();
      return;
    }
    this.#requests.check();
    this.#queues?.checkStall();
    if (!this.#requests.idle) return;
    this.#submit(statsRequest(this.#bringUp().resources), (reply) => {
      parseStats(reply);
      this.#counts.statistics++;
    });
  }

  #stopQueues(): void {
    this.#queues?.maskVectors();
    this.#queues?.disable();
  }

  /** iavf's reset work: wait for the reset's start and end, then come up without VERSION. */
  #beginReset(): void {
    if (this.#state === "resetting" || this.#state === "off") return;
    this.#state = "resetting";
    this.#counts.resets++;
    this.#requests.clear();
    this.#carrierTimer?.cancel();
    this.#setLink(false);
    this.#stopQueues();
    this.#awaitResetStart(RESET_START_POLLS);
  }

  #awaitResetStart(polls: number): void {
    if (this.#mailbox.enabled && polls > 0) {
      this.#later(RESET_POLL_MS, () => this.#awaitResetStart(polls - 1));
      return;
    }
    this.#awaitState(RSTAT.ACTIVE, () => this.#comeBack());
  }

  #comeBack(): void {
    this.#slot.setBusMaster();
    this.#mailbox.init();
    this.#armMailbox();
    this.#askResources((resources) => {
      const { queues } = this.#bringUp();
      const { tx, vectors } = queues;
      if (resources.queuePairs < tx.length || resources.maxVectors <= vectors.length) {
        throw new GuestFault("reply", "the PF grants less than before the reset", { resources });
      }
      this.#adopt(resources, queues);
      this.#bringQueuesUp();
    });
  }

  #letGo(): void {
    this.#watchdog?.cancel();
    this.#slot.write32(vectorControl(0), 0);
    this.#mailbox.shutdown();
    this.#slot.disableInterrupts();
    this.#requests.clear();
    this.#state = "off";
    this.#carrier?.resolve(undefined);
    this.#carrier = undefined;
  }
}

function none(): Uint8Array {
  return new Uint8Array(0);
}

function useError(why: string): VfmigError {
  return new VfmigError("ERR_VFMIG_GUEST_USE", `guest driver: ${why}`, { layer: "testkit" });
}
