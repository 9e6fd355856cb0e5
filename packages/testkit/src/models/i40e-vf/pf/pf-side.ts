import { VfmigError, type Clock, type Logger, type Timer } from "@vfmig/core";
import {
  EVENT_SEVERITY,
  LEGACY_SPEED,
  VF_CAP,
  VF_EVENT,
  VIRTCHNL_OP as OP,
  VIRTCHNL_STATUS,
  buildEvent,
  virtchnlName,
} from "@vfmig/iavf";
import type { Mailbox, RequestSink } from "../mailbox.ts";
import {
  addMacs,
  addVlans,
  deleteMacs,
  deleteVlans,
  setPromiscuous,
  setStripping,
} from "./filter-handlers.ts";
import type { PfAnswer, PfHandler, PfHardware } from "./handler.ts";
import { configIrqMap, configQueues, disableQueues, enableQueues } from "./queue-handlers.ts";
import { configKey, configLut, getHashTypes, setHashTypes } from "./rss-handlers.ts";
import { getResources, getStats, requestQueues, resetVf, version } from "./session-handlers.ts";

/** Requests that wait in the PF; more stay in the VF's ring. */
const BACKLOG = 32;

/** Channels and cloud filters are refused while the spoof check is on or no channel exists. */
const refused: PfHandler = { session: true, run: () => VIRTCHNL_STATUS.PARAM };

/** What an i40e PF answers. Everything else is "not supported". */
const HANDLERS: ReadonlyMap<number, PfHandler> = new Map([
  [OP.VERSION, version],
  [OP.RESET_VF, resetVf],
  [OP.GET_VF_RESOURCES, getResources],
  [OP.CONFIG_VSI_QUEUES, configQueues],
  [OP.CONFIG_IRQ_MAP, configIrqMap],
  [OP.ENABLE_QUEUES, enableQueues],
  [OP.DISABLE_QUEUES, disableQueues],
  [OP.ADD_ETH_ADDR, addMacs],
  [OP.DEL_ETH_ADDR, deleteMacs],
  [OP.ADD_VLAN, addVlans],
  [OP.DEL_VLAN, deleteVlans],
  [OP.CONFIG_PROMISCUOUS_MODE, setPromiscuous],
  [OP.GET_STATS, getStats],
  // An event is the PF's to send.
  [OP.EVENT, refused],
  [OP.CONFIG_RSS_KEY, configKey],
  [OP.CONFIG_RSS_LUT, configLut],
  [OP.GET_RSS_HENA_CAPS, getHashTypes],
  [OP.SET_RSS_HENA, setHashTypes],
  [OP.ENABLE_VLAN_STRIPPING, setStripping(true)],
  [OP.DISABLE_VLAN_STRIPPING, setStripping(false)],
  [OP.REQUEST_QUEUES, requestQueues],
  [OP.ENABLE_CHANNELS, refused],
  [OP.DISABLE_CHANNELS, refused],
  [OP.ADD_CLOUD_FILTER, refused],
  [OP.DEL_CLOUD_FILTER, refused],
]);

const NO_BODY = new Uint8Array(0);

interface Request {
  readonly opcode: number;
  readonly body: Uint8Array;
  readonly due: number;
}

/** The PF driver's side of one VF: takes virtchnl requests one after the other, each after its delay. */
export class PfSide implements RequestSink {
  readonly #hardware: PfHardware;
  readonly #mailbox: Mailbox;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #requests: Request[] = [];
  #timer: Timer | undefined;

  constructor(hardware: PfHardware, mailbox: Mailbox, clock: Clock, logger: Logger) {
    this.#hardware = hardware;
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
    this.#mailbox.send(OP.EVENT, VIRTCHNL_STATUS.SUCCESS, body);
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
    const handler = HANDLERS.get(opcode);
    const answer =
      handler === undefined ? VIRTCHNL_STATUS.NOT_SUPPORTED : this.#answer(handler, body);
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

  #answer(handler: PfHandler, body: Uint8Array): PfAnswer {
    if (handler.session && !this.#hardware.state.active) return VIRTCHNL_STATUS.PARAM;
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
