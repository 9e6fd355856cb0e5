import { type Timer, VfmigError } from "@vfmig/core";
import { AQ_CODE, AQ_OPCODE } from "../admin-queue.ts";
import { MailboxVector } from "../interrupts/mailbox-vector.ts";
import { ARQ_REGISTERS, ATQ_REGISTERS, ICR0, RSTAT, VF_REGISTER } from "../registers.ts";
import type { RegisterAccess } from "../registers/register-access.ts";
import { VIRTCHNL_OP, virtchnlName } from "../virtchnl/opcodes.ts";
import { translateVsiId } from "../virtchnl/vsi-id.ts";
import { Conversation } from "./conversation.ts";
import { Inbox } from "./inbox.ts";
import type { MailboxBacklog, MailboxOptions } from "./options.ts";
import { InFlight, type Reply, type RequestOptions } from "./in-flight.ts";
import { PrivateMailbox, type ReceivedMessage, type SendResult } from "./private-mailbox.ts";
import { type GuestSend, VirtualMailbox } from "./virtual-mailbox.ts";

/**
 * Milliseconds between looks at the mailbox while an answer is awaited: at first and at most.
 * Interrupts are quicker; this is for a PF whose interrupt is lost, and for the end of a reset.
 */
const POLL_MS = { FIRST: 1, MOST: 32 } as const;
/** Private slots that a guest's requests leave free for our own. */
const OWN_ROOM = 8;

/**
 * Stands between the guest's mailbox and the device's. The device's rings live in private memory, so
 * every request and answer passes here: it is judged, recorded, translated and carried on. Requests of
 * our own share the device's rings, in every migration state; their answers never reach the guest.
 */
export class MailboxRelay {
  readonly conversation: Conversation = new Conversation();
  readonly vector: MailboxVector;
  readonly virtual: VirtualMailbox;
  readonly #options: MailboxOptions;
  readonly #registers: RegisterAccess;
  readonly #private: PrivateMailbox;
  readonly #inFlight: InFlight;
  /** Sends in ring order: ours, the guest's, or one that was served here (its code). */
  readonly #sends: ("own" | "guest" | number)[] = [];
  readonly #sent: SendResult[] = [];
  readonly #inbox: Inbox = new Inbox();
  #guestVsi = 0;
  #hostVsi = 0;
  #frozen = false;
  #held = 0;
  #ownReset = false;
  #closed = false;
  #timer: Timer | undefined;
  #pollMs: number = POLL_MS.FIRST;

  constructor(options: MailboxOptions) {
    this.#options = options;
    this.#registers = options.registers;
    this.vector = new MailboxVector(options.registers, options.signalGuest);
    this.virtual = new VirtualMailbox(options.memory, options.dirty);
    this.#private = new PrivateMailbox(options.registers, options.allocate);
    this.#inFlight = new InFlight(options.clock);
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
      this.#forgetGuestSends();
    }
    if (offset === ATQ_REGISTERS.tail || ring === "receive") {
      this.poll();
    }
    return true;
  }

  /** The guest has set its send ring up anew: what it had sent there is no longer its affair. */
  #forgetGuestSends(): void {
    this.#sent.length = 0;
    for (const [index, send] of this.#sends.entries()) {
      this.#sends[index] = send === "guest" ? "own" : send;
    }
    while (typeof this.#sends[0] === "number") {
      this.#sends.shift();
    }
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
    this.#pollSends();
    this.#sendOwn();
    this.#sendGuests();
    this.#pollSends();
    for (let m = this.#private.nextReceived(); m !== undefined; m = this.#private.nextReceived()) {
      this.#receive(m);
    }
    this.#flush();
    this.#watch();
  }

  /** Looks again soon while something is awaited, since an interrupt may not come. */
  #watch(): void {
    const waits = this.#inFlight.size > 0 || this.#sends.length > 0 || this.#inFlight.queued > 0;
    if (!waits || this.#timer !== undefined || this.#closed) {
      return;
    }
    this.#timer = this.#options.clock.after(this.#pollMs, () => {
      this.#timer = undefined;
      this.#pollMs = Math.min(2 * this.#pollMs, POLL_MS.MOST);
      this.checkReset();
      this.poll();
    });
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

  #pollSends(): void {
    for (let next = this.#sends[0]; next !== undefined; next = this.#sends[0]) {
      if (typeof next === "number") {
        if (this.#frozen) {
          this.#sent.push({ flags: 0, returnValue: next });
        } else {
          this.virtual.completeSend(0, next);
        }
      } else {
        const result = this.#private.nextSent();
        if (result === undefined) {
          return;
        }
        this.#reportSend(next, result);
      }
      this.#sends.shift();
    }
  }

  #reportSend(owner: "own" | "guest", result: SendResult): void {
    if (owner === "own") {
      return;
    }
    if (this.#frozen) {
      this.#sent.push(result);
    } else {
      this.virtual.completeSend(result.flags, result.returnValue & 0xff);
    }
  }

  #sendOwn(): void {
    while (this.#inFlight.queued > 0 && this.ready() && this.#private.room > 0) {
      const own = this.#inFlight.startOwn();
      if (own !== undefined) {
        this.#private.send(own.opcode, own.body);
        this.#sends.push("own");
      }
    }
  }

  #sendGuests(): void {
    const { send: ring } = this.virtual;
    while (!this.#frozen && this.#held === 0 && ring.usable && ring.tail !== this.virtual.next) {
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
      this.#sends.push(known ? AQ_CODE.OK : send.opcode === -1 ? AQ_CODE.EINVAL : AQ_CODE.ESRCH);
      return;
    }
    if (!this.#issue(send.message, send.body)) {
      this.#sends.push(AQ_CODE.OK);
    } else {
      this.#sends.push("guest");
    }
  }

  /** Makes a guest's request again that another host's PF had not answered. */
  reissue(opcode: number, body: Uint8Array): void {
    if (this.ready() && this.#private.room > 0 && this.#issue(opcode, body)) {
      this.#sends.push("own");
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
    this.#pollMs = POLL_MS.FIRST;
    if (message.opcode === VIRTCHNL_OP.EVENT) {
      // A guest that has no version yet has no PF either; events then belong to our own asking.
      if (this.conversation.resources !== undefined) {
        this.#keep(message);
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
    this.#timer ??= this.#options.clock.after(0, () => {
      this.#timer = undefined;
      this.poll();
    });
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
    this.#pollMs = POLL_MS.FIRST;
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
    this.#ownReset = true;
    try {
      await this.request(VIRTCHNL_OP.RESET_VF, new Uint8Array(0), options);
    } catch {
      // The reset itself is the answer: it ends the request.
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
    this.#private.forget();
    this.#inFlight.fail("the VF was reset");
    this.#sends.length = 0;
    this.#sent.length = 0;
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
    for (const { flags, returnValue } of this.#sent.splice(0)) {
      this.virtual.completeSend(flags, returnValue & 0xff);
    }
    this.poll();
    this.vector.thaw();
  }

  /** What a target needs besides registers and conversation; while frozen. */
  backlog(): MailboxBacklog {
    const unsent = this.#sends.filter((send) => send === "guest").length;
    const guests = this.#inFlight.guests();
    return {
      sent: [...this.#sent],
      inbox: this.#inbox.messages,
      outstanding: guests.slice(0, Math.max(0, guests.length - unsent)),
    };
  }

  /** Takes a backlog over; the outstanding requests are made again by the caller. */
  restore(backlog: MailboxBacklog): void {
    this.#sent.splice(0, this.#sent.length, ...backlog.sent);
    this.virtual.skip(backlog.sent.length);
    this.#inbox.restore(backlog.inbox);
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#inFlight.fail("the device is closed");
    this.#private.close();
  }
}
