import { type Timer, VfmigError } from "@vfmig/core";
import {
  buildResourcesRequest,
  buildVersion,
  IAVF_6_1_CAPS,
  MAC_KIND,
  parseEvent,
  parseResources,
  parseStats,
  parseSupportedRxdids,
  parseVersion,
  parseVlanCaps,
  RXDID,
  VF_CAP,
  VF_EVENT,
  type VfResources,
  VIRTCHNL_OP,
  type VlanCaps,
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
import type { GuestClock } from "./guest-clock.ts";
import { Interrupts } from "./interrupts.ts";
import { Mailbox, type MailboxMessage } from "./mailbox.ts";
import { MailboxWork } from "./mailbox-work.ts";
import type { GuestDriverOptions, GuestReply, GuestState } from "./options.ts";
import type { PciSlot } from "./pci-slot.ts";
import { QueueSet } from "./queue-set.ts";
import { type GuestRequest, Requests } from "./requests.ts";
import { ResetState } from "./reset-state.ts";
import { iavfFlexRxFormat, iavfRxFormat } from "./ring-formats.ts";
import { insertsTags } from "./vlan-tags.ts";

/** Times of iavf, in milliseconds. */
const WATCHDOG_MS = 2000;
/** After ENABLE_QUEUES the PF tells the link's state; iavf would wait for ever. */
const CARRIER_LIMIT_MS = 10_000;
/** Between RESET_VF and the mailbox's end when the driver is removed. */
const REMOVE_MS = 50;
const NO_MAC = "00:00:00:00:00:00";

/** The same key in every guest, so that a run can be repeated. */
const RSS_KEY: Uint8Array = Uint8Array.from({ length: 64 }, (_, i) => (i * 167 + 29) & 0xff);

/** What the PF grants: before and after each reset. */
interface Granted {
  readonly resources: VfResources;
  readonly vlan: VlanCaps | undefined;
  /** Rx format that is used, or 0 where there is no choice. */
  readonly rxdid: number;
}

/** Counts of what is no frame. */
export interface LifeCounts {
  mailboxMessages: number;
  statistics: number;
  linkChanges: number;
  resets: number;
}

/** The life of a VF in its driver's hands: probe, bring-up, link, watchdog, reset, end. */
export class VfLife {
  readonly counts: LifeCounts = { mailboxMessages: 0, statistics: 0, linkChanges: 0, resets: 0 };
  readonly interrupts: Interrupts;
  /** As the last event told it. */
  linkSpeed = 0;
  readonly #options: GuestDriverOptions;
  readonly #slot: PciSlot;
  readonly #clock: GuestClock;
  readonly #mailbox: Mailbox;
  readonly #requests: Requests;
  readonly #work: MailboxWork;
  readonly #reset: ResetState;
  readonly #ringSize: number;
  readonly #mtu: number;
  #queues: QueueSet | undefined;
  #plan: BringUp | undefined;
  #state: GuestState = "off";
  #fault: GuestFault | undefined;
  #filtersSet = false;
  #linkUp = false;
  /** Whoever waits for a carrier, or for the end. */
  #waiter: PromiseWithResolvers<undefined> | undefined;
  #carrierTimer: Timer | undefined;
  #watchdog: Timer | undefined;

  /** @throws VfmigError `ERR_VFMIG_GUEST_USE` for options out of range */
  constructor(options: GuestDriverOptions, slot: PciSlot, clock: GuestClock) {
    const { queuePairs = 4, ringSize = 512, mtu = 1500 } = options;
    const sound = ringSize >= 64 && ringSize <= 4096 && ringSize % 32 === 0;
    if (!sound || !(queuePairs >= 1 && queuePairs <= 16) || !(mtu >= 68 && mtu <= 9702)) {
      const given = `${queuePairs} queue pairs, rings of ${ringSize}, MTU ${mtu}`;
      throw useError(`${given} cannot be; 1 to 16 pairs, 64 to 4,096 in steps of 32, 68 to 9702`);
    }
    this.#options = options;
    this.#ringSize = ringSize;
    this.#mtu = mtu;
    this.#slot = slot;
    this.#clock = clock;
    const guard = (run: () => void): void => this.guard(run);
    this.#mailbox = new Mailbox(slot, options.ram);
    this.#requests = new Requests(this.#mailbox, clock, guard);
    this.#reset = new ResetState(slot, this.#mailbox, (delayMs, run) => this.#later(delayMs, run));
    const onMessage = (message: MailboxMessage): void => this.#message(message);
    this.#work = new MailboxWork({ slot, clock, mailbox: this.#mailbox, guard, onMessage });
    const handle = (vector: number): void => this.#handle(vector);
    this.interrupts = new Interrupts({ slot, clock, createEvent: options.createEvent, handle });
  }

  get state(): GuestState {
    return this.#state;
  }

  get fault(): GuestFault | undefined {
    return this.#fault;
  }

  get linkUp(): boolean {
    return this.#linkUp;
  }

  get queues(): QueueSet | undefined {
    return this.#queues;
  }

  get mac(): string {
    return this.#plan?.mac ?? this.#options.mac ?? NO_MAC;
  }

  /** Settles with carrier and filters. @throws GuestFault */
  async start(): Promise<void> {
    if (this.#state !== "off" || this.#queues !== undefined) {
      throw useError(`start of a driver that is or was ${this.#state}`);
    }
    this.#state = "starting";
    const waiter = this.#wait();
    this.guard(() => {
      this.#slot.probe();
      this.#reset.awaitFunction(true, () => this.#startMailbox());
    });
    await waiter;
  }

  async request(operation: number, body: (vsiId: number) => Uint8Array): Promise<Uint8Array> {
    if (this.#state !== "running") throw useError(`request of a driver that is ${this.#state}`);
    const answer = Promise.withResolvers<Uint8Array>();
    const make = (): Uint8Array => body(this.#bringUp().resources.vsiId);
    this.#submit({ operation, body: make }, (reply) => answer.resolve(reply.slice()));
    return await answer.promise;
  }

  async resetFunction(): Promise<void> {
    if (this.#state !== "running") throw useError(`reset of a driver that is ${this.#state}`);
    const carrier = Promise.withResolvers<undefined>();
    this.#submit({ operation: VIRTCHNL_OP.RESET_VF, body: none }, () => {
      this.#beginReset();
      this.#waiter = carrier;
    });
    await carrier.promise;
  }

  get resources(): VfResources | undefined {
    return this.#plan?.resources;
  }

  async ask(operation: number, body: (vsiId: number) => Uint8Array): Promise<GuestReply> {
    if (this.#state !== "running") throw useError(`a question of a driver that is ${this.#state}`);
    const answer = Promise.withResolvers<GuestReply>();
    this.#requests.submit({
      operation,
      body: () => body(this.#bringUp().resources.vsiId),
      done: (reply) => answer.resolve({ status: 0, body: reply.slice() }),
      refused: (status) => answer.resolve({ status, body: none() }),
    });
    return await answer.promise;
  }

  async remove(): Promise<void> {
    if (this.#state !== "running") throw useError(`removal of a driver that is ${this.#state}`);
    const plan = this.#bringUp();
    this.#state = "stopping";
    const waiter = this.#wait();
    this.#setLink(false);
    this.#submit(queuesRequest(VIRTCHNL_OP.DISABLE_QUEUES, plan), () => {
      this.#stopQueues();
      this.#submit({ operation: VIRTCHNL_OP.RESET_VF, body: none }, () => {
        this.#later(REMOVE_MS, () => this.#letGo());
      });
    });
    await waiter;
  }

  /** Runs a piece of the guest; what it throws breaks the guest. */
  guard(run: () => void): void {
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
    this.#waiter?.reject(fault);
    this.#waiter = undefined;
    this.#options.onFault(fault);
  }

  #wait(): Promise<undefined> {
    this.#waiter = Promise.withResolvers<undefined>();
    return this.#waiter.promise;
  }

  #handle(vector: number): void {
    if (vector === 0) this.#work.interrupt();
    else this.#queues?.vectors[vector - 1]?.interrupt();
  }

  #later(delayMs: number, run: () => void): Timer {
    return this.#clock.after(delayMs, () => this.guard(run));
  }

  #submit(request: Omit<GuestRequest, "done">, done: (reply: Uint8Array) => void): void {
    this.#requests.submit({ ...request, done });
  }

  #startMailbox(): void {
    this.#mailbox.init();
    this.#submit({ operation: VIRTCHNL_OP.VERSION, body: () => buildVersion() }, (reply) => {
      const { major, minor } = parseVersion(reply);
      if (major !== 1 || minor > 1) {
        throw new GuestFault("reply", `the PF speaks virtchnl ${major}.${minor}`, { major, minor });
      }
      this.#askResources((granted) => this.#configure(granted));
    });
    this.#work.poll();
  }

  #askResources(then: (granted: Granted) => void): void {
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
      this.#askVlanCaps(resources, then);
    });
  }

  /** Only where the PF knows VLAN V2. */
  #askVlanCaps(resources: VfResources, then: (granted: Granted) => void): void {
    if ((resources.caps & VF_CAP.VLAN_V2) === 0) {
      this.#askRxFormats(resources, undefined, then);
      return;
    }
    this.#submit({ operation: VIRTCHNL_OP.GET_OFFLOAD_VLAN_V2_CAPS, body: none }, (reply) => {
      this.#askRxFormats(resources, parseVlanCaps(reply), then);
    });
  }

  /** Only where there is a choice. */
  #askRxFormats(
    resources: VfResources,
    vlan: VlanCaps | undefined,
    then: (granted: Granted) => void,
  ): void {
    if ((resources.caps & VF_CAP.RX_FLEX_DESC) === 0) {
      then({ resources, vlan, rxdid: 0 });
      return;
    }
    this.#submit({ operation: VIRTCHNL_OP.GET_SUPPORTED_RXDIDS, body: none }, (reply) => {
      const rxdid = this.#options.rxFormat ?? RXDID.LEGACY_32;
      if (((parseSupportedRxdids(reply) >> BigInt(rxdid)) & 1n) === 0n) {
        throw new GuestFault("reply", `the PF does not have Rx format ${rxdid}`, { rxdid });
      }
      then({ resources, vlan, rxdid });
    });
  }

  /** First bring-up: rings and vectors come into being. */
  #configure(granted: Granted): void {
    const { resources } = granted;
    const pairs = Math.min(resources.queuePairs, this.#options.queuePairs ?? 4);
    const vectors = Math.min(pairs, resources.maxVectors - 1);
    this.#queues = new QueueSet({
      slot: this.#slot,
      ram: this.#options.ram,
      clock: this.#clock,
      onFrame: this.#options.onFrame,
      guard: (run) => this.guard(run),
      pairs,
      vectors,
      ringSize: this.#ringSize,
      rxBuffer: receiveSizes(this.#mtu, resources.maxFrame).buffer,
      txSegment: this.#options.txSegment ?? 1024,
      rxFormat: granted.rxdid === RXDID.FLEX_NIC ? iavfFlexRxFormat : iavfRxFormat,
      insertsTags: insertsTags(resources, granted.vlan),
    });
    this.interrupts.enable(1 + vectors);
    this.#adopt(granted, this.#queues);
    this.#work.arm();
    this.#bringQueuesUp();
    this.#armWatchdog();
  }

  #adopt({ resources, vlan, rxdid }: Granted, queues: QueueSet): void {
    const { mac, multicast = [], vlans = [] } = this.#options;
    this.#plan = {
      resources,
      vlan,
      mac:
        resources.mac === NO_MAC ? (this.#plan?.mac ?? mac ?? "02:00:00:00:00:0a") : resources.mac,
      multicast,
      vlans,
      rxdid,
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

  #message(message: MailboxMessage): void {
    this.counts.mailboxMessages++;
    if (message.operation !== VIRTCHNL_OP.EVENT) {
      this.#requests.answer(message);
      return;
    }
    const { event, linkUp, speed } = parseEvent(message.body);
    if (event === VF_EVENT.RESET_IMPENDING) {
      this.#clock.soon(() => this.guard(() => this.#beginReset()));
    } else if (event === VF_EVENT.LINK_CHANGE && this.#queues?.enabled === true) {
      // Before its queues run iavf ignores the link's state.
      this.linkSpeed = speed;
      this.#setLink(linkUp);
    }
  }

  #setLink(up: boolean): void {
    this.#carrierTimer?.cancel();
    if (up === this.#linkUp) return;
    this.#linkUp = up;
    this.counts.linkChanges++;
    this.#options.onLink?.(up);
    this.#tellReady();
  }

  /** Ready is a carrier and all filters, so that no frame is missed from then on. */
  #tellReady(): void {
    if (this.#state !== "running" || !this.#linkUp || !this.#filtersSet) return;
    this.#waiter?.resolve(undefined);
    this.#waiter = undefined;
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
    this.#queues?.checkStall();
    if (!this.#requests.idle) return;
    this.#submit(statsRequest(this.#bringUp().resources), (reply) => {
      parseStats(reply);
      this.counts.statistics++;
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
    this.counts.resets++;
    this.#requests.clear();
    this.#carrierTimer?.cancel();
    this.#setLink(false);
    this.#stopQueues();
    this.#reset.awaitReset(() => this.#comeBack());
  }

  #comeBack(): void {
    this.#slot.setBusMaster();
    this.#mailbox.init();
    this.#work.arm();
    this.#askResources((granted) => {
      const { resources } = granted;
      const { queues } = this.#bringUp();
      const { tx, vectors } = queues;
      if (resources.queuePairs < tx.length || resources.maxVectors <= vectors.length) {
        throw new GuestFault("reply", "the PF grants less than before the reset", { resources });
      }
      this.#adopt(granted, queues);
      this.#bringQueuesUp();
    });
  }

  #letGo(): void {
    this.#watchdog?.cancel();
    this.#work.disarm();
    this.#mailbox.shutdown();
    this.#slot.disableInterrupts();
    this.#requests.clear();
    this.#state = "off";
    this.#waiter?.resolve(undefined);
    this.#waiter = undefined;
  }
}

function none(): Uint8Array {
  return new Uint8Array(0);
}

/** A driver that was used out of order. */
export function useError(why: string): VfmigError {
  return new VfmigError("ERR_VFMIG_GUEST_USE", `guest driver: ${why}`, { layer: "testkit" });
}
