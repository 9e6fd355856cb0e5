import { VfmigError, type Clock, type Logger, type Timer } from "@vfmig/core";
import {
  EVENT_SEVERITY,
  LEGACY_SPEED,
  VF_CAP,
  VF_EVENT,
  VIRTCHNL_OP,
  VIRTCHNL_STATUS,
  buildEvent,
  virtchnlName,
} from "@vfmig/iavf";
import type { Mailbox, RequestSink } from "../mailbox.ts";
import type { PfAnswer, PfDialect, PfHandler, PfHardware } from "./handler.ts";

/** Requests that wait in the PF; more stay in the VF's ring. */
const BACKLOG = 32;

const NO_BODY = new Uint8Array(0);

interface Request {
  readonly opcode: number;
  readonly body: Uint8Array;
  readonly due: number;
}

/** The PF driver's side of one VF: takes virtchnl requests one after the other, each after its delay. */
export class PfSide implements RequestSink {
  readonly #hardware: PfHardware;
  readonly #dialect: PfDialect;
  readonly #mailbox: Mailbox;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #requests: Request[] = [];
  #timer: Timer | undefined;

  constructor(
    hardware: PfHardware,
    dialect: PfDialect,
    mailbox: Mailbox,
    clock: Clock,
    logger: Logger,
  ) {
    this.#hardware = hardware;
    this.#dialect = dialect;
    this.#mailbox = mailbox;
    this.#clock = clock;
    this.#logger = logger;
  }

  get ready(): boolean {
    return this.#requests.length < BACKLOG;
  }

  submit(opcode: number, body: Uint8Array): void {
    const due = this.#clock.now() + this.#hardware.state.replyDelayMs;
    this.#requests.push({ opcode, body, due });
    this.#schedule();
  }

  /** Tells the VF the link's state. */
  tellLink(): void {
    const { linkUp, linkSpeed, granted } = this.#hardware.state;
    const advanced = (granted & VF_CAP.ADV_LINK_SPEED) !== 0;
    const speed = advanced ? linkSpeed : (LEGACY_SPEED[linkSpeed] ?? 0);
    this.#event(VF_EVENT.LINK_CHANGE, linkUp ? speed : 0, linkUp, EVENT_SEVERITY.INFO);
  }

  /** Tells the VF that it is about to be reset. */
  announceReset(): void {
    this.#event(VF_EVENT.RESET_IMPENDING, 0, false, EVENT_SEVERITY.CERTAIN_DOOM);
  }

  /** Forgets requests that it has not taken yet. */
  drop(): void {
    this.#requests = [];
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #event(event: number, speed: number, linkUp: boolean, severity: number): void {
    const body = buildEvent({ event, speed, linkUp, severity });
    this.#mailbox.send(VIRTCHNL_OP.EVENT, VIRTCHNL_STATUS.SUCCESS, body);
  }

  #schedule(): void {
    const next = this.#requests[0];
    if (next === undefined || this.#timer !== undefined) return;
    const wait = next.due - this.#clock.now();
    const run = (): void => {
      this.#timer = undefined;
      this.#takeDue();
    };
    this.#timer = wait > 0 ? this.#clock.after(wait, run) : this.#clock.soon(run);
  }

  #takeDue(): void {
    const next = this.#requests[0];
    if (next !== undefined && next.due <= this.#clock.now()) {
      this.#requests.shift();
      this.#handle(next);
      // The ring may hold requests for which there was no room.
      this.#mailbox.kick();
    }
    this.#schedule();
  }

  #handle({ opcode, body }: Request): void {
    const handler = this.#dialect.requests.get(opcode);
    const answer = this.#answer(opcode, handler, body);
    if (answer === "silent") return;
    if (typeof answer === "number") {
      if (answer !== 0)
        this.#logger.debug(`PF refuses ${virtchnlName(opcode)}`, { status: answer });
      this.#mailbox.send(opcode, answer, NO_BODY);
    } else if (answer instanceof Uint8Array) {
      this.#mailbox.send(opcode, VIRTCHNL_STATUS.SUCCESS, answer);
    } else {
      this.#mailbox.send(opcode, answer.status, answer.body);
    }
    if (handler?.tellsLink === true) this.tellLink();
  }

  #answer(opcode: number, handler: PfHandler | undefined, body: Uint8Array): PfAnswer {
    const refusal = this.#dialect.refusal(this.#hardware.state, opcode);
    if (refusal !== undefined) return refusal;
    if (handler === undefined) return VIRTCHNL_STATUS.NOT_SUPPORTED;
    try {
      return handler.run(this.#hardware, body);
    } catch (error) {
      if (VfmigError.is(error) && error.code === "ERR_VFMIG_VIRTCHNL_BODY") {
        return VIRTCHNL_STATUS.PARAM;
      }
      throw error;
    }
  }
}
