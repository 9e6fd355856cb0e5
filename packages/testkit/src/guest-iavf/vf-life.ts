import type { Clock } from "@vfmig/core";
import {
  MAC_KIND,
  parseEvent,
  parseStats,
  VF_EVENT,
  type VfResources,
  VIRTCHNL_OP,
} from "@vfmig/iavf";
import { GuestFault, useError } from "../guest/fault.ts";
import { guardedClock } from "../guest/guarded-clock.ts";
import type { GuestClock } from "../guest/guest-clock.ts";
import { Interrupts } from "../guest/interrupts.ts";
import type { GuestDriverOptions, GuestQueueIndices, GuestReply } from "../guest/options.ts";
import type { DriverMatch, PciSlot } from "../guest/pci-slot.ts";
import { countersOf, indicesOf } from "../guest/ring-sums.ts";
import { Standing } from "../guest/standing.ts";
import type { VfLife } from "../guest/vf-life.ts";
import { Watchdog } from "../guest/watchdog.ts";
import {
  type BringUp,
  bringUpRequests,
  macRequest,
  NO_MAC,
  planOf,
  queuesRequest,
  statsRequest,
  writeRssRegisters,
} from "./bring-up.ts";
import { Conversation, noBody } from "./conversation.ts";
import { type Granted, Grants } from "./granted.ts";
import { type QueueSet, queueSetOf } from "./queue-set.ts";
import { Readiness } from "./readiness.ts";
import { ResetState } from "./reset-state.ts";
import { type Sizes, sizesOf } from "./sizes.ts";

/** Between RESET_VF and the mailbox's end when the driver is removed, in milliseconds. */
const REMOVE_MS = 50;

/** The 700-series and adaptive VFs that iavf binds. */
const IAVF: DriverMatch = { devices: new Set([0x154c, 0x1571, 0x37cd, 0x1889]), bar0: 0x1_0000 };

/** The life of a VF in its driver's hands: probe, bring-up, link, watchdog, reset, end. */
export class IavfLife implements VfLife {
  readonly standing: Standing;
  readonly interrupts: Interrupts;
  /** As the last event told it. */
  linkSpeed = 0;
  readonly #options: GuestDriverOptions;
  readonly #slot: PciSlot;
  readonly #clock: Clock;
  readonly #talk: Conversation;
  readonly #reset: ResetState;
  readonly #grants: Grants;
  readonly #ready: Readiness;
  readonly #watchdog: Watchdog;
  readonly #sizes: Sizes;
  #queues: QueueSet | undefined;
  #plan: BringUp | undefined;
  #statistics = 0;

  /** @throws VfmigError `ERR_VFMIG_GUEST_USE` for options out of range */
  constructor(options: GuestDriverOptions, slot: PciSlot, clock: GuestClock) {
    this.#sizes = sizesOf(options);
    this.#options = options;
    this.#slot = slot;
    this.standing = new Standing(options, (fault) => this.#stopAll(fault));
    const guarded = guardedClock(clock, (run) => this.standing.guard(run));
    this.#clock = guarded;
    this.#talk = new Conversation(slot, options.ram, guarded, (body) => this.#told(body));
    this.#grants = new Grants(this.#talk, options);
    this.#reset = new ResetState(slot, this.#talk, guarded);
    this.#ready = new Readiness(this.standing, guarded);
    this.#watchdog = new Watchdog(guarded, () => this.#look());
    const handle = (vector: number): void => this.#handle(vector);
    this.interrupts = new Interrupts({ slot, clock, createEvent: options.createEvent, handle });
  }

  get mac(): string {
    return this.#plan?.mac ?? this.#options.mac ?? NO_MAC;
  }

  get resources(): VfResources | undefined {
    return this.#plan?.resources;
  }

  get counters(): VfLife["counters"] {
    return {
      ...countersOf(this.#queues?.tx ?? [], this.#queues?.rx ?? []),
      mailboxMessages: this.#talk.messages,
      statistics: this.#statistics,
      linkChanges: this.standing.linkChanges,
      resets: this.standing.resets,
    };
  }

  get indices(): GuestQueueIndices[] {
    return indicesOf(this.#queues?.tx ?? [], this.#queues?.rx ?? []);
  }

  /** Settles with carrier and filters. @throws GuestFault */
  async start(): Promise<void> {
    const { state } = this.standing;
    if (state !== "off" || this.#queues !== undefined) {
      throw useError(`start of a driver that is or was ${state}`);
    }
    this.standing.state = "starting";
    const ready = this.#ready.wait();
    this.standing.guard(() => {
      this.#slot.probe(IAVF);
      this.#reset.awaitFunction(true, () => {
        this.#talk.begin();
        this.#grants.askVersion((granted) => this.#configure(granted));
      });
    });
    await ready;
  }

  send(frame: Uint8Array): boolean {
    return this.#queues?.send(frame) ?? false;
  }

  async request(operation: number, body: (vsiId: number) => Uint8Array): Promise<Uint8Array> {
    this.standing.requireRunning("request");
    const answer = Promise.withResolvers<Uint8Array>();
    const done = (reply: Uint8Array): void => answer.resolve(reply.slice());
    const dropped = (why: Error): void => answer.reject(why);
    this.#talk.submit({ operation, body: this.#ofVsi(body), done, dropped });
    return await answer.promise;
  }

  async ask(operation: number, body: (vsiId: number) => Uint8Array): Promise<GuestReply> {
    this.standing.requireRunning("a question");
    const answer = Promise.withResolvers<GuestReply>();
    this.#talk.submit({
      operation,
      body: this.#ofVsi(body),
      done: (reply) => answer.resolve({ status: 0, body: reply.slice() }),
      refused: (status) => answer.resolve({ status, body: noBody() }),
      dropped: (why) => answer.reject(why),
    });
    return await answer.promise;
  }

  async resetFunction(): Promise<void> {
    this.standing.requireRunning("reset");
    const carrier = Promise.withResolvers<undefined>();
    const asked = (): void => {
      this.#beginReset();
      carrier.resolve(this.#ready.wait());
    };
    this.#talk.askReset(asked, (why) => {
      // A reset that came before it was asked for does as well.
      if (this.standing.state === "resetting") carrier.resolve(this.#ready.wait());
      else carrier.reject(why);
    });
    await carrier.promise;
  }

  async remove(): Promise<void> {
    this.standing.requireRunning("removal");
    const plan = this.#bringUp();
    this.standing.state = "stopping";
    const gone = this.#ready.wait();
    this.#ready.setLink(false);
    this.#talk.submit({
      ...queuesRequest(VIRTCHNL_OP.DISABLE_QUEUES, plan),
      done: () => {
        this.#queues?.stop();
        this.#talk.askReset(() => this.#clock.after(REMOVE_MS, () => this.#letGo()));
      },
    });
    await gone;
  }

  /** The VSI may be another one once the request goes out. */
  #ofVsi(body: (vsiId: number) => Uint8Array): () => Uint8Array {
    return () => body(this.#bringUp().resources.vsiId);
  }

  #stopAll(fault: GuestFault): void {
    this.#watchdog.cancel();
    this.#talk.clear(fault);
    this.#queues?.disable();
    this.#ready.fail(fault);
  }

  #handle(vector: number): void {
    if (vector === 0) this.#talk.interrupt();
    else this.#queues?.vectors[vector - 1]?.interrupt();
  }

  /** First bring-up: rings and vectors come into being. */
  #configure(granted: Granted): void {
    const place = { slot: this.#slot, clock: this.#clock };
    this.#queues = queueSetOf(granted, this.#sizes, this.#options, place);
    this.interrupts.enable(1 + this.#queues.vectors.length);
    this.#plan = planOf(granted, this.#sizes, this.#queues, this.#options, undefined);
    this.#talk.arm();
    this.#bringQueuesUp();
    this.#watchdog.arm();
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
      const done = (): void => {
        if (last) this.#queuesRun(plan);
      };
      this.#talk.submit({ operation, body: make, done });
    }
  }

  #queuesRun(plan: BringUp): void {
    this.standing.state = "running";
    plan.queues.enable();
    const filters = plan.multicast.length > 0;
    if (filters) {
      this.#talk.submit({
        ...macRequest(plan, plan.multicast, MAC_KIND.EXTRA),
        done: () => this.#ready.filtersSet(),
      });
    }
    this.#ready.begin(filters);
  }

  #told(body: Uint8Array): void {
    const { event, linkUp, speed } = parseEvent(body);
    if (event === VF_EVENT.RESET_IMPENDING) {
      this.#clock.soon(() => this.#beginReset());
    } else if (event === VF_EVENT.LINK_CHANGE && this.#queues?.enabled === true) {
      // Before its queues run iavf ignores the link's state.
      this.linkSpeed = speed;
      this.#ready.setLink(linkUp);
    }
  }

  #look(): void {
    if (this.standing.state !== "running") return;
    if (!this.#talk.alive) {
      this.#beginReset();
      return;
    }
    this.#queues?.checkStall();
    if (!this.#talk.idle) return;
    this.#talk.submit({
      ...statsRequest(this.#bringUp().resources),
      done: (reply) => {
        parseStats(reply);
        this.#statistics++;
      },
    });
  }

  /** iavf's reset work: wait for the reset's start and end, then come up without VERSION. */
  #beginReset(): void {
    const { state } = this.standing;
    if (state === "resetting" || state === "off") return;
    this.standing.state = "resetting";
    this.standing.resets++;
    this.#talk.clear(
      useError("the VF was reset before its PF had answered; ask again when it runs"),
    );
    this.#ready.setLink(false);
    this.#queues?.stop();
    this.#reset.awaitReset(() => this.#comeBack());
  }

  #comeBack(): void {
    this.#slot.setBusMaster();
    this.#talk.beginAnew();
    this.#grants.ask((granted) => {
      const { resources } = granted;
      const { queues } = this.#bringUp();
      const { tx, vectors } = queues;
      if (resources.queuePairs < tx.length || resources.maxVectors <= vectors.length) {
        throw new GuestFault("reply", "the PF grants less than before the reset", { resources });
      }
      this.#plan = planOf(granted, this.#sizes, queues, this.#options, this.#plan);
      this.#bringQueuesUp();
    });
  }

  #letGo(): void {
    this.#watchdog.cancel();
    this.#talk.end();
    this.#slot.disableInterrupts();
    this.standing.state = "off";
    this.#ready.done();
  }
}
