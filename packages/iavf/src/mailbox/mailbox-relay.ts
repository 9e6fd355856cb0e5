import { VfmigError } from "@vfmig/core";
import { AQ_CODE, AQ_OPCODE } from "../admin-queue.ts";
import { MailboxVector } from "../interrupts/mailbox-vector.ts";
import { ARQ_REGISTERS, ATQ_REGISTERS, ICR0, RSTAT, VF_REGISTER } from "../registers.ts";
import type { RegisterAccess } from "@vfmig/core/toolkit";
import { VIRTCHNL_OP, virtchnlName } from "../virtchnl/opcodes.ts";
import { translateVsiId } from "../virtchnl/vsi-id.ts";
import { Conversation } from "./conversation.ts";
import { Inbox } from "./inbox.ts";
import type { MailboxBacklog, MailboxOptions } from "./options.ts";
import { InFlight, type Reply, type RequestOptions } from "./in-flight.ts";
import { PrivateMailbox, type ReceivedMessage } from "./private-mailbox.ts";
import { SendLedger } from "./send-ledger.ts";
import { type GuestSend, VirtualMailbox } from "./virtual-mailbox.ts";
import { MailboxWatch } from "./watch.ts";

/** Private slots that a guest's requests leave free for our own. */
const OWN_ROOM = 8;

/**
 * Stands between the guest's mailbox and the device's. The device's rings live in private memory, so
 * every request and answer passes here: it is judged, recorded, translated and carried on. Requests of
 * our own share the device's rings, in every migration state; their answers never reach the guest.
 */
export class MailboxRelay {
  readonly conversation: Conversation;
  readonly vector: MailboxVector;
  readonly virtual: VirtualMailbox;
  readonly #options: MailboxOptions;
  readonly #registers: RegisterAccess;
  readonly #private: PrivateMailbox;
  readonly #inFlight: InFlight;
  readonly #sends: SendLedger;
  readonly #watch: MailboxWatch;
  readonly #inbox: Inbox = new Inbox();
  #guestVsi = 0;
  #hostVsi = 0;
  #frozen = false;
  #held = 0;
  #ownReset = false;
  #closed = false;

  constructor(options: MailboxOptions) {
    this.#options = options;
    this.#registers = options.registers;
    this.conversation = new Conversation(options);
    this.vector = new MailboxVector(options.registers, options.signalGuest);
    this.virtual = new VirtualMailbox(options);
    this.#private = new PrivateMailbox(options.registers, options.allocate);
    this.#inFlight = new InFlight(options.clock);
    this.#sends = new SendLedger({
      nextSent: () => this.#private.nextSent(),
      report: ({ flags, returnValue }) => this.virtual.completeSend(flags, returnValue & 0xff),
    });
    this.#watch = new MailboxWatch(options.clock, () => {
      this.checkReset();
      this.poll();
    });
  }

  /** VSI id by which the guest knows its VSI, and the host's own for it. */
  get vsi(): { readonly guest: number; readonly host: number } {
    return { guest: this.#guestVsi, host: this.#hostVsi };
  }

  /** Nothing is written to guest memory and no vector fires. */
  get frozen(): boolean {
    return this.#frozen;
  }

  /** The device has our rings; false from the moment in which a reset was noticed. */
  get online(): boolean {
    return this.#private.programmed;
  }

  setVsi(guest: number, host: number): void {
    this.#guestVsi = guest;
    this.#hostVsi = host;
  }

  /** Undefined where `offset` is not the mailbox's or vector 0's. */
  read(offset: number): number | undefined {
    if (offset === VF_REGISTER.VFGEN_RSTAT) {
      this.checkReset();
      return this.#registers.read(offset);
    }
    if (offset === ATQ_REGISTERS.len || offset === ARQ_REGISTERS.len) {
      this.checkReset();
    } else if (offset === ATQ_REGISTERS.head || offset === ARQ_REGISTERS.head) {
      this.poll();
    }
    return this.virtual.read(offset) ?? this.vector.read(offset);
  }

  /** False where `offset` is not the mailbox's or vector 0's. */
  write(offset: number, value: number): boolean {
    const ring = this.virtual.write(offset, value);
    if (ring === undefined) {
      return this.vector.write(offset, value);
    }
    if (ring === "send" && offset !== ATQ_REGISTERS.tail) {
      this.#sends.disown();
    }
    if (offset === ATQ_REGISTERS.tail || ring === "receive") {
      this.poll();
    }
    return true;
  }

  /** The device signalled vector 0. */
  onInterrupt(): void {
    const causes = this.#registers.read(VF_REGISTER.VFINT_ICR01);
    this.vector.armReal();
    this.poll();
    const others = causes & ~(ICR0.INTEVENT | ICR0.ADMINQ);
    if (causes !== 0xffff_ffff && others !== 0) {
      this.vector.raise(others);
    }
  }

  /** Moves whatever can be moved, in both directions. */
  poll(): void {
    if (this.#closed) {
      return;
    }
    this.#sends.poll(this.#frozen);
    this.#sendOwn();
    this.#sendGuests();
    this.#sends.poll(this.#frozen);
    for (let m = this.#private.nextReceived(); m !== undefined; m = this.#private.nextReceived()) {
      this.#receive(m);
    }
    this.#flush();
    if (this.#waits()) {
      this.#watch.later();
    }
  }

  /** Something is awaited of which no interrupt may tell. */
  #waits(): boolean {
    const { size, queued } = this.#inFlight;
    return size > 0 || queued > 0 || this.#sends.size > 0 || this.#guestWaits();
  }

  /** The guest has sent what was not taken, because the device is in reset or has no room. */
  #guestWaits(): boolean {
    const { send: ring, next } = this.virtual;
    return !this.#frozen && this.#held === 0 && ring.usable && ring.tail !== next;
  }

  /** Gives the device its rings, if it has none and is out of reset. */
  ready(): boolean {
    if (this.#private.programmed) {
      return true;
    }
    const state = this.#registers.read(VF_REGISTER.VFGEN_RSTAT);
    if (state === 0xffff_ffff || (state & RSTAT.MASK) === RSTAT.IN_PROGRESS || (state & 3) === 3) {
      return false;
    }
    this.#private.program();
    this.vector.armReal();
    return true;
  }

  #sendOwn(): void {
    while (this.#inFlight.queued > 0 && this.ready() && this.#private.room > 0) {
      const own = this.#inFlight.startOwn();
      if (own !== undefined) {
        this.#private.send(own.opcode, own.body);
        this.#sends.add("own");
      }
    }
  }

  #sendGuests(): void {
    while (this.#guestWaits()) {
      if (!this.ready() || this.#private.room <= OWN_ROOM) {
        return;
      }
      const send = this.virtual.take();
      if (send === undefined) {
        return;
      }
      this.#serve(send);
    }
  }

  #serve(send: GuestSend): void {
    if (send.opcode !== AQ_OPCODE.SEND_TO_PF) {
      const known = send.opcode === AQ_OPCODE.QUEUE_SHUTDOWN;
      // The device's queues are ours, so a guest that shuts its own down leaves them alone.
      this.#sends.add(known ? AQ_CODE.OK : send.opcode === -1 ? AQ_CODE.EINVAL : AQ_CODE.ESRCH);
      return;
    }
    if (!this.#issue(send.message, send.body)) {
      this.#sends.add(AQ_CODE.OK);
    } else {
      this.#sends.add("guest");
    }
  }

  /** Makes a guest's request again that another host's PF had not answered. */
  reissue(opcode: number, body: Uint8Array): void {
    if (this.ready() && this.#private.room > 0 && this.#issue(opcode, body)) {
      this.#sends.add("own");
    }
    this.poll();
  }

  /** Carries a guest's request on; false where it was answered here. */
  #issue(opcode: number, body: Uint8Array): boolean {
    const verdict = this.#options.hooks.request(opcode, body);
    if (verdict.kind === "answer") {
      this.#keep({ opcode, status: verdict.status, body: verdict.body ?? new Uint8Array(0) });
      return false;
    }
    const translated = translateVsiId(opcode, verdict.body, this.#guestVsi, this.#hostVsi);
    this.#private.send(opcode, translated);
    // RESET_VF is answered by the reset itself, which ends all that is in flight.
    this.#inFlight.addGuest(opcode, body);
    return true;
  }

  #receive(message: ReceivedMessage): void {
    this.#watch.hurry();
    if (message.opcode === VIRTCHNL_OP.EVENT) {
      // A guest that has no VSI yet has no PF either; events then belong to our own asking, as does
      // the notice of a reset that we asked for.
      if (this.conversation.resources !== undefined && !this.#ownReset) {
        this.#keep({ ...message, body: this.#options.hooks.event(message.body) });
      }
      return;
    }
    const owner = this.#inFlight.answered(message);
    if (owner === undefined) {
      this.#options.logger.debug("the PF answered a request that nobody made", {
        opcode: virtchnlName(message.opcode),
      });
    } else if (owner.kind === "guest") {
      const body = this.#options.hooks.reply(message.opcode, owner.body, message);
      this.#keep({ ...message, body });
    }
  }

  #keep(message: ReceivedMessage): void {
    if (!this.#inbox.keep(message)) {
      this.virtual.receive.overflow();
      return;
    }
    // An answer given here reaches the guest after its send is reported, as the PF's would.
    this.#watch.soon();
  }

  #flush(): void {
    if (!this.#frozen && this.#inbox.deliver((message) => this.virtual.deliver(message))) {
      this.vector.raise(ICR0.ADMINQ);
    }
  }

  /**
   * Sends a request of our own and settles with its answer, whatever its status.
   * @throws VfmigError `ERR_VFMIG_PF_SILENT` where no answer came in time or the VF was reset
   */
  request(opcode: number, body: Uint8Array, options?: RequestOptions): Promise<Reply> {
    const reply = this.#inFlight.queueOwn(opcode, body, options);
    this.#watch.hurry();
    this.poll();
    return reply;
  }

  /**
   * As {@link request}, for an answer that must be a success.
   * @throws VfmigError `ERR_VFMIG_PF_SILENT`, `ERR_VFMIG_PF_REFUSED`
   */
  async demand(opcode: number, body: Uint8Array, options?: RequestOptions): Promise<Uint8Array> {
    const reply = await this.request(opcode, body, options);
    if (reply.status !== 0) {
      throw new VfmigError(
        "ERR_VFMIG_PF_REFUSED",
        `the PF refused ${virtchnlName(opcode)} with status ${reply.status}`,
        { layer: "plugin:iavf", details: { opcode, status: reply.status } },
      );
    }
    return reply.body;
  }

  /**
   * Has the PF reset the VF; settles when the reset was seen or the PF stays silent, which
   * {@link online} tells apart. A guest that has not begun to talk does not notice.
   */
  async resetVf(options?: RequestOptions): Promise<void> {
    await this.requestReset(VIRTCHNL_OP.RESET_VF, new Uint8Array(0), options);
  }

  /**
   * Sends a request of our own that the PF grants by resetting the VF, of which the guest is told
   * nothing. Settles with the PF's answer, which is a refusal, or with nothing, as {@link resetVf}.
   */
  async requestReset(
    opcode: number,
    body: Uint8Array,
    options?: RequestOptions,
  ): Promise<Reply | undefined> {
    this.#ownReset = true;
    try {
      return await this.request(opcode, body, options);
    } catch {
      // The reset itself is the answer: it ends the request.
      return undefined;
    } finally {
      this.#ownReset = false;
    }
  }

  /** The guest's requests wait in its ring until the returned function is called. */
  holdGuest(): () => void {
    this.#held++;
    let held = true;
    return () => {
      if (held) {
        held = false;
        this.#held--;
        this.poll();
      }
    };
  }

  /** True where the guest has said something to its PF since the last reset, or is about to. */
  get spoken(): boolean {
    const { version, resources } = this.conversation;
    return version !== undefined || resources !== undefined || this.#inFlight.guests().length > 0;
  }

  /** Finds out whether the VF was reset behind our back; true if so. */
  checkReset(): boolean {
    if (!this.#private.programmed || this.#private.alive) {
      return false;
    }
    this.#forgetDevice();
    if (!this.#ownReset) {
      // As hardware: the mailbox is off until the guest sets it up again.
      this.virtual.write(ATQ_REGISTERS.len, 0);
      this.virtual.write(ARQ_REGISTERS.len, 0);
      this.vector.reset();
    }
    this.conversation.reset();
    this.#options.hooks.reset();
    return true;
  }

  #forgetDevice(): void {
    // A request that asks for the reset is done before it: the guest finds it so in its ring.
    this.#sends.poll(this.#frozen, () => this.#private.nextWrittenBack());
    this.#private.forget();
    this.#inFlight.fail("the VF was reset");
    this.#sends.clear();
    this.#inbox.clear();
  }

  /** The function was reset by its owner: nothing of guest or device is left. */
  clear(): void {
    this.#forgetDevice();
    this.virtual.reset();
    this.vector.reset();
    this.conversation.clear();
    this.#guestVsi = 0;
    this.#hostVsi = 0;
  }

  /** From now on nothing is written to guest memory and no vector fires. */
  freeze(): void {
    this.poll();
    this.#frozen = true;
    this.vector.freeze();
  }

  /** Ends {@link freeze}: tells the guest what has waited. */
  thaw(): void {
    this.#frozen = false;
    this.#sends.thaw();
    this.poll();
    this.vector.thaw();
  }

  /** What a target needs besides registers and conversation; while frozen. */
  backlog(): MailboxBacklog {
    const guests = this.#inFlight.guests();
    return {
      sent: this.#sends.kept,
      inbox: this.#inbox.messages,
      outstanding: guests.slice(0, Math.max(0, guests.length - this.#sends.guests)),
    };
  }

  /** Takes a backlog over; the outstanding requests are made again by the caller. */
  restore(backlog: MailboxBacklog): void {
    this.#sends.restore(backlog.sent);
    this.virtual.skip(backlog.sent.length);
    this.#inbox.restore(backlog.inbox);
  }

  close(): void {
    this.#closed = true;
    this.#watch.close();
    this.#inFlight.fail("the device is closed");
    this.#private.close();
  }
}
