import { VfmigError } from "@vfmig/core";
import type { VfioDevice } from "@vfmig/core";
import { COMMAND, commandName } from "../codec/commands.ts";
import { ERRNO, errnoOf, refusal } from "../codec/errno.ts";
import { HEADER } from "../codec/header.ts";
import { Connection } from "../transport/connection.ts";
import type { Message } from "../transport/message.ts";
import { DmaTable } from "./dma-table.ts";
import { handlers } from "./handlers/table.ts";
import { IrqTable } from "./irq-table.ts";
import { Lane } from "./lane.ts";
import { MAX_MESSAGE_FDS, negotiate, type Negotiated } from "./negotiation.ts";
import type { ServerSettings } from "./options.ts";
import { RegionMappings } from "./region-mappings.ts";
import { ReplyWriter, ticketOf, type Ticket } from "./reply-writer.ts";
import { tearDown } from "./teardown.ts";

/** The largest message that has no bulk data: a DMA_LOGGING_START with all of its ranges. */
const STRUCT_BYTES = 8192;
/** Commands that may wait for earlier ones, and the bytes that they hold, before reading pauses. */
const MAX_DEFERRED = 256;
const MAX_DEFERRED_BYTES = 4_194_304;
const MIN_SEND_LIMIT = 1_048_576;

/** One client: from its first message to the last thing that is released after it has gone. */
export class Session {
  readonly settings: ServerSettings;
  readonly device: VfioDevice;
  readonly replies: ReplyWriter = new ReplyWriter();
  readonly irqs: IrqTable;
  readonly dma: DmaTable;
  readonly regionMappings: RegionMappings;
  /** Mappings, in order. */
  readonly dmaLane: Lane = new Lane();
  /** State changes, device state and the dirty log, in order. */
  readonly migrationLane: Lane = new Lane();
  readonly connection: Connection;
  /** Settles when the client has gone and everything of it is released. */
  readonly done: Promise<void>;
  #negotiated: Negotiated | undefined;
  #deferred = 0;
  #deferredBytes = 0;
  #onDrained: (() => void)[] = [];

  constructor(settings: ServerSettings, fd: number) {
    this.settings = settings;
    this.device = settings.device;
    this.irqs = new IrqTable(settings.io, settings.device);
    this.regionMappings = new RegionMappings(settings.device);
    this.dma = new DmaTable(settings.io, settings.device, settings.maxDmaMaps);
    const ended = Promise.withResolvers<void>();
    this.connection = new Connection({
      io: settings.io,
      fd,
      clock: settings.clock,
      maxMessageBytes: STRUCT_BYTES,
      maxFds: MAX_MESSAGE_FDS,
      sendLimitBytes: Math.max(MIN_SEND_LIMIT, settings.maxDataTransferSize),
      wait: settings.wait,
      onMessage: (message) => this.#onMessage(message),
      onEnd: (error) => {
        this.#logEnd(error);
        ended.resolve();
      },
      onDrained: () => this.#drained(),
    });
    this.replies.attach(this.connection);
    this.done = ended.promise.then(() => this.#tearDown());
    this.connection.start();
  }

  /** The client has come as far as a version. */
  get connected(): boolean {
    return this.#negotiated !== undefined;
  }

  /** @throws VfmigError `ERR_VFMIG_VFIO_USER_REQUEST` before the version is negotiated */
  get negotiated(): Negotiated {
    if (this.#negotiated === undefined) throw refusal("EINVAL", "no version was negotiated yet");
    return this.#negotiated;
  }

  /**
   * Runs `work` in a lane and answers an error that it throws. `work` sends the reply itself. While it
   * waits or runs, messages of other lanes are served.
   */
  defer(
    lane: Lane,
    message: Message,
    work: (ticket: Ticket) => void | Promise<void>,
    heldBytes: number = 0,
    release: () => void = () => {},
  ): void {
    const ticket = ticketOf(message);
    this.#deferred += 1;
    this.#deferredBytes += heldBytes;
    const finish = (): void => {
      this.#deferred -= 1;
      this.#deferredBytes -= heldBytes;
      release();
      this.#balance();
    };
    lane.add(
      () => this.#perform(ticket, work, finish),
      () => {
        this.fail(ticket, refusal("ECANCELED", `${commandName(ticket.command)} was cancelled`));
        finish();
      },
    );
  }

  /** Settles when the client has taken enough of what was sent to it, or has gone. */
  async roomToSend(): Promise<void> {
    if (!this.connection.congested || this.connection.closed) return;
    await new Promise<void>((resolve) => this.#onDrained.push(resolve));
  }

  /** Answers with the errno of `error`, and tells the log. */
  fail(ticket: Ticket, error: unknown): void {
    const errno = errnoOf(error);
    const command = commandName(ticket.command);
    const text = error instanceof Error ? error.message : String(error);
    const { logger } = this.settings;
    // Asking is how a client finds out what a device has; a refusal then is no news.
    const asked = ticket.command === COMMAND.DEVICE_FEATURE && errno === ERRNO.ENOTTY;
    logger[asked ? "debug" : "warn"](`vfio-user: ${command} refused: ${text}`, {
      errno,
      ...(VfmigError.is(error) ? { code: error.code, layer: error.layer } : {}),
    });
    this.replies.sendError(ticket, errno);
  }

  #perform(
    ticket: Ticket,
    work: (ticket: Ticket) => void | Promise<void>,
    finish: () => void,
  ): void | Promise<void> {
    try {
      const pending = work(ticket);
      if (pending !== undefined) {
        return pending.catch((error: unknown) => this.fail(ticket, error)).finally(finish);
      }
    } catch (error) {
      this.fail(ticket, error);
    }
    finish();
  }

  #onMessage(message: Message): void {
    if (!message.isCommand) {
      this.settings.logger.debug("vfio-user: a reply that nobody waits for was dropped", {
        command: message.command,
      });
      return;
    }
    if (this.#negotiated === undefined) {
      this.#negotiate(message);
      return;
    }
    const handler = handlers[message.command];
    try {
      if (handler === undefined) {
        const name = commandName(message.command);
        throw refusal("ENOSYS", `${name} is not served here`, { command: message.command });
      }
      handler(this, message);
    } catch (error) {
      this.fail(message, error);
    }
    this.#balance();
  }

  #negotiate(message: Message): void {
    try {
      if (message.command !== COMMAND.VERSION || message.fds.length > 0) {
        throw refusal("EINVAL", "the first message must be VFIO_USER_VERSION, without fds");
      }
      const { negotiated, reply } = negotiate(message.payload(), this.settings);
      this.#negotiated = negotiated;
      this.connection.reader.maxMessageBytes =
        HEADER.BYTES + STRUCT_BYTES + this.settings.maxDataTransferSize;
      this.replies.reserve(reply.length);
      this.replies.bytes.set(reply, this.replies.at);
      this.replies.send(message, reply.length);
      this.settings.onClient("connected");
    } catch (error) {
      this.fail(message, error);
      this.connection.protocolError("the version could not be negotiated");
    }
  }

  /** Reads on or pauses, as the client's unread replies and waiting commands allow. */
  #balance(): void {
    if (
      this.connection.congested ||
      this.#deferred > MAX_DEFERRED ||
      this.#deferredBytes > MAX_DEFERRED_BYTES
    ) {
      this.connection.pause();
    } else {
      this.connection.resume();
    }
  }

  #drained(): void {
    for (const resolve of this.#onDrained.splice(0)) resolve();
    this.#balance();
  }

  #logEnd(error: VfmigError | undefined): void {
    for (const resolve of this.#onDrained.splice(0)) resolve();
    if (error === undefined) this.settings.logger.info("vfio-user: the client has disconnected");
    else this.settings.logger.warn(error.message, { code: error.code });
  }

  async #tearDown(): Promise<void> {
    this.dmaLane.cancelQueued();
    this.migrationLane.cancelQueued();
    await tearDown(this);
  }
}
