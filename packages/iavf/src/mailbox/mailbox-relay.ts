import { VfmigError } from "@vfmig/core";
import type { RegisterAccess } from "@vfmig/core/toolkit";
import { MailboxVector } from "../interrupts/mailbox-vector.ts";
import { ARQ_REGISTERS, ATQ_REGISTERS, ICR0, VF_REGISTER } from "../registers.ts";
import { VIRTCHNL_OP, virtchnlName } from "../virtchnl/opcodes.ts";
import { Conversation } from "./conversation.ts";
import { impendingReset } from "./impending-reset.ts";
import type { Reply, RequestOptions } from "./in-flight.ts";
import type { MailboxBacklog, MailboxOptions } from "./options.ts";
import { MailboxTraffic } from "./traffic.ts";
import type { VirtualMailbox } from "./virtual-mailbox.ts";

/**
 * Stands between the guest's mailbox and the device's. The device's rings live in private memory, so
 * every request and answer passes here: it is judged, recorded, translated and carried on. Requests of
 * our own share the device's rings, in every migration state; their answers never reach the guest.
 */
export class MailboxRelay {
  readonly conversation: Conversation;
  readonly vector: MailboxVector;
  readonly #options: MailboxOptions;
  readonly #registers: RegisterAccess;
  readonly #traffic: MailboxTraffic;
  /** Resets that were seen. */
  #resets = 0;

  constructor(options: MailboxOptions) {
    this.#options = options;
    this.#registers = options.registers;
    this.conversation = new Conversation(options);
    this.vector = new MailboxVector(options.registers, options.signalGuest);
    this.#traffic = new MailboxTraffic({
      options,
      conversation: this.conversation,
      vector: this.vector,
      look: () => {
        this.checkReset();
        this.poll();
      },
    });
  }

  /** The mailbox registers as the guest sees them. */
  get virtual(): VirtualMailbox {
    return this.#traffic.virtual;
  }

  /** VSI id by which the guest knows its VSI, and the host's own for it. */
  get vsi(): { readonly guest: number; readonly host: number } {
    return this.#traffic.vsi;
  }

  /** Nothing is written to guest memory and no vector fires. */
  get frozen(): boolean {
    return this.#traffic.frozen;
  }

  /** The device has our rings; false from the moment in which a reset was noticed. */
  get online(): boolean {
    return this.#traffic.device.programmed;
  }

  setVsi(guest: number, host: number): void {
    this.#traffic.vsi = { guest, host };
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
      this.#traffic.sends.disown();
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
    this.#traffic.poll();
  }

  /** Gives the device its rings, if it has none and is out of reset. */
  ready(): boolean {
    return this.#traffic.ready();
  }

  /** Makes a guest's request again that another host's PF had not answered. */
  reissue(opcode: number, body: Uint8Array): void {
    this.#traffic.reissue(opcode, body);
  }

  /** The guest's requests wait in its ring until the returned function is called. */
  holdGuest(): () => void {
    return this.#traffic.holdGuest();
  }

  /**
   * Sends a request of our own and settles with its answer, whatever its status.
   * @throws VfmigError `ERR_VFMIG_PF_SILENT` where no answer came in time or the VF was reset
   */
  request(opcode: number, body: Uint8Array, options?: RequestOptions): Promise<Reply> {
    const reply = this.#traffic.inFlight.queueOwn(opcode, body, options);
    this.#traffic.watch.hurry();
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
    this.#traffic.ownReset = true;
    try {
      return await this.request(opcode, body, options);
    } catch {
      // The reset itself is the answer: it ends the request.
      return undefined;
    } finally {
      this.#traffic.ownReset = false;
    }
  }

  /**
   * Has the PF reset the VF, and tells the guest beforehand what a PF tells that resets it of its own
   * accord; the guest finds its mailbox off as soon as the reset was seen. False where the PF stays silent.
   */
  async resetUnderGuest(options?: RequestOptions): Promise<boolean> {
    const before = this.#resets;
    this.#traffic.tell(impendingReset());
    this.#traffic.resetTold = true;
    // The reset ends the request without an answer, as in requestReset.
    await this.request(VIRTCHNL_OP.RESET_VF, new Uint8Array(0), options).catch(() => undefined);
    return this.#resets > before;
  }

  /** The reset that the guest was told of does not come: it is told what its PF says again. */
  resetFailed(): void {
    this.#traffic.resetTold = false;
  }

  /** True where the guest has said something to its PF since the last reset, or is about to. */
  get spoken(): boolean {
    const { version, resources } = this.conversation;
    return (
      version !== undefined || resources !== undefined || this.#traffic.inFlight.guests().length > 0
    );
  }

  /** Finds out whether the VF was reset behind our back; true if so. */
  checkReset(): boolean {
    if (!this.#traffic.device.programmed || this.#traffic.device.alive) {
      return false;
    }
    this.#resets++;
    this.#traffic.forget();
    if (!this.#traffic.ownReset) {
      // As hardware: the mailbox is off until the guest sets it up again.
      this.virtual.write(ATQ_REGISTERS.len, 0);
      this.virtual.write(ARQ_REGISTERS.len, 0);
      this.vector.reset();
    }
    this.conversation.reset();
    this.#options.hooks.reset();
    return true;
  }

  /** The function was reset by its owner: nothing of guest or device is left. */
  clear(): void {
    this.#traffic.forget();
    this.virtual.reset();
    this.vector.reset();
    this.conversation.clear();
    this.setVsi(0, 0);
  }

  /** From now on nothing is written to guest memory and no vector fires. */
  freeze(): void {
    this.poll();
    this.#traffic.frozen = true;
    this.vector.freeze();
  }

  /** Ends {@link freeze}: tells the guest what has waited. */
  thaw(): void {
    this.#traffic.frozen = false;
    this.#traffic.sends.thaw();
    this.poll();
    this.vector.thaw();
  }

  /** What a target needs besides registers and conversation; while frozen. */
  backlog(): MailboxBacklog {
    const guests = this.#traffic.inFlight.guests();
    return {
      sent: this.#traffic.sends.kept,
      inbox: this.#traffic.inbox.messages,
      outstanding: guests.slice(0, Math.max(0, guests.length - this.#traffic.sends.guests)),
    };
  }

  /** Takes a backlog over; the outstanding requests are made again by the caller. */
  restore(backlog: MailboxBacklog): void {
    this.#traffic.sends.restore(backlog.sent);
    this.virtual.skip(backlog.sent.length);
    this.#traffic.inbox.restore(backlog.inbox);
  }

  close(): void {
    this.#traffic.close();
  }
}
