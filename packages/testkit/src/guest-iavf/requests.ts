import type { Clock, Timer } from "@vfmig/core";
import { virtchnlName, VIRTCHNL_OP } from "@vfmig/iavf";
import { GuestFault } from "../guest/fault.ts";
import type { Mailbox, MailboxMessage } from "./mailbox.ts";

/** iavf's work item looks for waiting requests this often, in milliseconds. */
const WORK_MS = 20;
/** After this a request counts as unanswered, in milliseconds of the guest's time. */
const REPLY_LIMIT_MS = 5000;

/** One virtchnl request of the guest. */
export interface GuestRequest {
  readonly operation: number;
  /** Made when the request goes out. */
  readonly body: () => Uint8Array;
  readonly done: (reply: Uint8Array) => void;
  /** Takes a refusal; where it is absent, a refusal is the guest's fault. */
  readonly refused?: (status: number) => void;
  /** Takes why it will have no answer: the function was reset, or the guest is broken. */
  readonly dropped?: (why: Error) => void;
}

/** The guest's requests: one at a time, each with exactly one answer. */
export class Requests {
  readonly #mailbox: Mailbox;
  readonly #clock: Clock;
  readonly #waiting: GuestRequest[] = [];
  #current: { readonly request: GuestRequest; readonly limit: Timer } | undefined;
  #work: Timer | undefined;

  constructor(mailbox: Mailbox, clock: Clock) {
    this.#mailbox = mailbox;
    this.#clock = clock;
  }

  get idle(): boolean {
    return this.#current === undefined && this.#waiting.length === 0;
  }

  submit(request: GuestRequest): void {
    this.#waiting.push(request);
    this.#schedule();
  }

  /** Gives everything up. */
  clear(why: Error): void {
    this.#work?.cancel();
    this.#work = undefined;
    this.#current?.limit.cancel();
    const asked = this.#current === undefined ? [] : [this.#current.request];
    this.#current = undefined;
    for (const request of [...asked, ...this.#waiting.splice(0)]) request.dropped?.(why);
  }

  /** Takes an answer. @throws GuestFault where it answers nothing, or refuses */
  answer({ operation, status, body }: MailboxMessage): void {
    const current = this.#current;
    const name = virtchnlName(operation);
    if (current?.request.operation !== operation) {
      const waited = current === undefined ? "nothing" : virtchnlName(current.request.operation);
      throw new GuestFault("unexpected-reply", `an answer to ${name} while ${waited} was asked`, {
        operation,
      });
    }
    const { refused } = current.request;
    if (status !== 0 && refused === undefined) {
      throw new GuestFault("refused", `the PF answered ${name} with status ${status}`, {
        operation,
        status,
      });
    }
    current.limit.cancel();
    this.#current = undefined;
    if (status === 0) current.request.done(body);
    else refused?.(status);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#work !== undefined || this.#waiting.length === 0) return;
    this.#work = this.#clock.after(WORK_MS, () => {
      this.#work = undefined;
      this.#next();
    });
  }

  #next(): void {
    if (this.#current === undefined) {
      const request = this.#waiting.shift();
      if (request === undefined) return;
      this.#mailbox.send(request.operation, request.body());
      // A reset has no answer; what follows it starts anew.
      if (request.operation === VIRTCHNL_OP.RESET_VF) request.done(new Uint8Array(0));
      else this.#current = { request, limit: this.#limit(request.operation) };
    }
    this.#schedule();
  }

  #limit(operation: number): Timer {
    const overdue = (): never => {
      const why = this.#mailbox.sent ? "no answer came" : "the device has not even taken it";
      const what = `${virtchnlName(operation)} was sent 5 s ago and ${why}`;
      throw new GuestFault("missing-reply", what, { operation });
    };
    return this.#clock.after(REPLY_LIMIT_MS, overdue);
  }
}
