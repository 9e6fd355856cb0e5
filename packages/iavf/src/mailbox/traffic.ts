import { AQ_CODE, AQ_OPCODE } from "../admin-queue.ts";
import type { MailboxVector } from "../interrupts/mailbox-vector.ts";
import { ICR0, RSTAT, VF_REGISTER } from "../registers.ts";
import { VIRTCHNL_OP, virtchnlName } from "../virtchnl/opcodes.ts";
import { translateVsiId } from "../virtchnl/vsi-id.ts";
import type { Conversation } from "./conversation.ts";
import { InFlight } from "./in-flight.ts";
import { Inbox } from "./inbox.ts";
import type { MailboxOptions } from "./options.ts";
import { PrivateMailbox, type ReceivedMessage } from "./private-mailbox.ts";
import { SendLedger } from "./send-ledger.ts";
import { type GuestSend, VirtualMailbox } from "./virtual-mailbox.ts";
import { MailboxWatch } from "./watch.ts";

/** Private slots that a guest's requests leave free for our own. */
const OWN_ROOM = 8;

export interface TrafficParts {
  readonly options: MailboxOptions;
  readonly conversation: Conversation;
  readonly vector: MailboxVector;
  /** Looks for a reset, and then {@link MailboxTraffic.poll}s; while something is awaited. */
  readonly look: () => void;
}

/**
 * Carries messages between the guest's rings and the device's: requests are judged and translated on
 * their way, answers find whoever asked, and what cannot be delivered yet waits.
 */
export class MailboxTraffic {
  readonly virtual: VirtualMailbox;
  readonly device: PrivateMailbox;
  readonly inFlight: InFlight;
  readonly sends: SendLedger;
  readonly watch: MailboxWatch;
  readonly inbox: Inbox = new Inbox();
  /** VSI id by which the guest knows its VSI, and the host's own for it. */
  vsi: { readonly guest: number; readonly host: number } = { guest: 0, host: 0 };
  /** Nothing is written to guest memory. */
  frozen = false;
  /** A reset was asked for that the guest is not to hear of. */
  ownReset = false;
  /** The guest was told of a reset, after which a PF tells it nothing more. */
  resetTold = false;
  readonly #parts: TrafficParts;
  #held = 0;
  #closed = false;

  constructor(parts: TrafficParts) {
    const { options } = parts;
    this.#parts = parts;
    this.virtual = new VirtualMailbox(options);
    this.device = new PrivateMailbox(options.registers, options.allocate);
    this.inFlight = new InFlight(options.clock);
    this.sends = new SendLedger({
      nextSent: () => this.device.nextSent(),
      report: ({ flags, returnValue }) => this.virtual.completeSend(flags, returnValue & 0xff),
    });
    this.watch = new MailboxWatch(options.clock, parts.look);
  }

  /** Moves whatever can be moved, in both directions. */
  poll(): void {
    if (this.#closed) {
      return;
    }
    this.sends.poll(this.frozen);
    this.#sendOwn();
    this.#sendGuests();
    this.sends.poll(this.frozen);
    for (let m = this.device.nextReceived(); m !== undefined; m = this.device.nextReceived()) {
      this.#receive(m);
    }
    this.#flush();
    if (this.#waits()) {
      this.watch.later();
    }
  }

  /** Something is awaited of which no interrupt may tell. */
  #waits(): boolean {
    const { size, queued } = this.inFlight;
    return size > 0 || queued > 0 || this.sends.size > 0 || this.#guestWaits();
  }

  /** The guest has sent what was not taken, because the device is in reset or has no room. */
  #guestWaits(): boolean {
    const { send: ring, next } = this.virtual;
    return !this.frozen && this.#held === 0 && ring.usable && ring.tail !== next;
  }

  /** Gives the device its rings, if it has none and is out of reset. */
  ready(): boolean {
    if (this.device.programmed) {
      return true;
    }
    const state = this.#parts.options.registers.read(VF_REGISTER.VFGEN_RSTAT);
    if (state === 0xffff_ffff || (state & RSTAT.MASK) === RSTAT.IN_PROGRESS || (state & 3) === 3) {
      return false;
    }
    this.device.program();
    this.#parts.vector.armReal();
    return true;
  }

  #sendOwn(): void {
    while (this.inFlight.queued > 0 && this.ready() && this.device.room > 0) {
      const own = this.inFlight.startOwn();
      if (own !== undefined) {
        this.device.send(own.opcode, own.body);
        this.sends.add("own");
      }
    }
  }

  #sendGuests(): void {
    while (this.#guestWaits()) {
      if (!this.ready() || this.device.room <= OWN_ROOM) {
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
      this.sends.add(known ? AQ_CODE.OK : send.opcode === -1 ? AQ_CODE.EINVAL : AQ_CODE.ESRCH);
      return;
    }
    if (!this.#issue(send.message, send.body)) {
      this.sends.add(AQ_CODE.OK);
    } else {
      this.sends.add("guest");
    }
  }

  /** Makes a guest's request again that another host's PF had not answered. */
  reissue(opcode: number, body: Uint8Array): void {
    if (this.ready() && this.device.room > 0 && this.#issue(opcode, body)) {
      this.sends.add("own");
    }
    this.poll();
  }

  /** Carries a guest's request on; false where it was answered here. */
  #issue(opcode: number, body: Uint8Array): boolean {
    const verdict = this.#parts.options.hooks.request(opcode, body);
    if (verdict.kind === "answer") {
      this.#keep({ opcode, status: verdict.status, body: verdict.body ?? new Uint8Array(0) });
      return false;
    }
    const translated = translateVsiId(opcode, verdict.body, this.vsi.guest, this.vsi.host);
    this.device.send(opcode, translated);
    // RESET_VF is answered by the reset itself, which ends all that is in flight.
    this.inFlight.addGuest(opcode, body);
    return true;
  }

  #receive(message: ReceivedMessage): void {
    this.watch.hurry();
    if (message.opcode === VIRTCHNL_OP.EVENT) {
      // A guest that has no VSI yet has no PF either; events then belong to our own asking, as does
      // the notice of a reset that we asked for.
      if (this.#parts.conversation.resources !== undefined && !this.ownReset) {
        this.#keep({ ...message, body: this.#parts.options.hooks.event(message.body) });
      }
      return;
    }
    const owner = this.inFlight.answered(message);
    if (owner === undefined) {
      this.#parts.options.logger.debug("the PF answered a request that nobody made", {
        opcode: virtchnlName(message.opcode),
      });
    } else if (owner.kind === "guest") {
      const body = this.#parts.options.hooks.reply(message.opcode, owner.body, message);
      this.#keep({ ...message, body });
    }
  }

  #keep(message: ReceivedMessage): void {
    if (this.resetTold) {
      return;
    }
    if (!this.inbox.keep(message)) {
      this.virtual.receive.overflow();
      return;
    }
    // An answer given here reaches the guest after its send is reported, as the PF's would.
    this.watch.soon();
  }

  #flush(): void {
    if (!this.frozen && this.inbox.deliver((message) => this.virtual.deliver(message))) {
      this.#parts.vector.raise(ICR0.ADMINQ);
    }
  }

  /** Tells the guest something in its PF's place, if it has a PF. */
  tell(message: ReceivedMessage): void {
    if (this.#parts.conversation.resources !== undefined) {
      this.#keep(message);
      this.#flush();
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

  /** The VF was reset: what was with its PF is gone. */
  forget(): void {
    // A request that asks for the reset is done before it: the guest finds it so in its ring.
    this.sends.poll(this.frozen, () => this.device.nextWrittenBack());
    this.device.forget();
    this.resetTold = false;
    this.inFlight.fail("the VF was reset");
    this.sends.clear();
    this.inbox.clear();
  }

  /** Nothing is carried any more. */
  close(): void {
    this.#closed = true;
    this.watch.close();
    this.inFlight.fail("the device is closed");
    this.device.close();
  }
}
