import type { Clock } from "@vfmig/core";
import { VIRTCHNL_OP } from "@vfmig/iavf";
import { useError } from "../guest/fault.ts";
import type { GuestRam } from "../guest/guest-ram.ts";
import type { PciSlot } from "../guest/pci-slot.ts";
import { Mailbox, type MailboxMessage } from "./mailbox.ts";
import { MailboxWork } from "./mailbox-work.ts";
import { type GuestRequest, Requests } from "./requests.ts";

/** What a guest and its PF say to each other: requests with their answers, and the PF's events. */
export class Conversation {
  /** Messages that came from the PF. */
  messages = 0;
  readonly #mailbox: Mailbox;
  readonly #requests: Requests;
  readonly #work: MailboxWork;
  readonly #onEvent: (body: Uint8Array) => void;

  constructor(slot: PciSlot, ram: GuestRam, clock: Clock, onEvent: (body: Uint8Array) => void) {
    this.#onEvent = onEvent;
    const mailbox = new Mailbox(slot, ram);
    this.#mailbox = mailbox;
    this.#requests = new Requests(mailbox, clock);
    const onMessage = (message: MailboxMessage): void => this.#take(message);
    this.#work = new MailboxWork({ slot, clock, mailbox, onMessage });
  }

  /** False once a reset took the mailbox away. */
  get alive(): boolean {
    return this.#mailbox.enabled;
  }

  /** True while no request waits, or waits for its answer. */
  get idle(): boolean {
    return this.#requests.idle;
  }

  /** Before there are vectors: the PF's messages are looked for, until {@link arm}. */
  begin(): void {
    this.#mailbox.init();
    this.#work.poll();
  }

  /** After a reset. */
  beginAnew(): void {
    this.#mailbox.init();
    this.#work.arm();
  }

  /** From now on vector 0 tells of messages. */
  arm(): void {
    this.#work.arm();
  }

  /** Vector 0 was raised. */
  interrupt(): void {
    this.#work.interrupt();
  }

  submit(request: GuestRequest): void {
    this.#requests.submit(request);
  }

  /**
   * A reset of the function has no answer: `then` runs once it was asked for.
   *
   * @param dropped - takes why it never is
   */
  askReset(then: () => void, dropped?: (why: Error) => void): void {
    const request = { operation: VIRTCHNL_OP.RESET_VF, body: noBody, done: then };
    this.#requests.submit(dropped === undefined ? request : { ...request, dropped });
  }

  /** Gives up what was asked. */
  clear(why: Error): void {
    this.#requests.clear(why);
  }

  end(): void {
    this.#work.disarm();
    this.#mailbox.shutdown();
    this.#requests.clear(useError("the driver was removed before its PF had answered"));
  }

  #take(message: MailboxMessage): void {
    this.messages++;
    if (message.operation === VIRTCHNL_OP.EVENT) this.#onEvent(message.body);
    else this.#requests.answer(message);
  }
}

/** Of a request that has no body. */
export function noBody(): Uint8Array {
  return new Uint8Array(0);
}
