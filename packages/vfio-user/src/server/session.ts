import { VfmigError } from "@vfmig/core";
import type { VfioDevice } from "@vfmig/core";
import { COMMAND, commandName } from "../codec/commands.ts";
import { ERRNO, errnoOf, refusal } from "../codec/errno.ts";
import { HEADER } from "../codec/header.ts";
import { Connection } from "../transport/connection.ts";
import type { Message } from "../transport/message.ts";
import { Tracer } from "../trace/tracer.ts";
import { ClientCalls } from "./client-calls.ts";
import { DmaTable } from "./dma-table.ts";
import { handlerOf } from "./handlers/table.ts";
import { IrqTable } from "./irq-table.ts";
import { Lane } from "./lane.ts";
import { MAX_MESSAGE_FDS, negotiate, type Negotiated } from "./negotiation.ts";
import type { ServerSettings } from "./options.ts";
import { MemoryFiles } from "./memory-files.ts";
import { RegionMappings } from "./region-mappings.ts";
import { ReplyWriter, ticketOf, type Ticket } from "./reply-writer.ts";
import { SharingCheck } from "./sharing-check.ts";
import { SpareBuffer } from "./spare-buffer.ts";
import { openTwinSocket } from "./twin-socket.ts";
import { tearDown } from "./teardown.ts";

/** The largest message that has no bulk data: a DMA_LOGGING_START with all of its ranges. */
const STRUCT_BYTES = 8192;
/** Commands that may wait for earlier ones, and the bytes that they hold, before reading pauses. */
const MAX_DEFERRED = 256;
const MAX_DEFERRED_BYTES = 4_194_304;
const MIN_SEND_LIMIT = 1_048_576;
/**
 * How much more of both is borne while the client owes answers to DMA messages: these come behind its
 * commands, and the commands may wait for them.
 */
const OWED_FACTOR = 8;

/** What is served to a client that is refused everything else, so that it can go in order. */
const STILL_SERVED: ReadonlySet<number> = new Set([COMMAND.DMA_UNMAP, COMMAND.DEVICE_RESET]);

/** One client: from its first message to the last thing that is released after it has gone. */
export class Session {
  readonly settings: ServerSettings;
  readonly device: VfioDevice;
  readonly replies: ReplyWriter;
  readonly spare: SpareBuffer = new SpareBuffer();
  readonly irqs: IrqTable;
  readonly dma: DmaTable;
  /** What this side asks of the client. */
  readonly calls: ClientCalls;
  /** True while a dirty log that this client has started runs. */
  logging: boolean = false;
  readonly regionMappings: RegionMappings;
  /** Mappings, in order. */
  readonly dmaLane: Lane = new Lane();
  /** State changes, device state and the dirty log, in order. */
  readonly migrationLane: Lane = new Lane();
  /** Accesses that wait for the device, in order. */
  readonly accessLane: Lane = new Lane();
  readonly connection: Connection;
  /** Settles when the client has gone and everything of it is released. */
  readonly done: Promise<void>;
  readonly #tracer: Tracer | undefined;
  readonly #laneWriters = new Map<Lane, ReplyWriter>();
  readonly #sharing: SharingCheck;
  readonly #sendLimit: number;
  #twin: Connection | undefined;
  /** Why nothing of this client is served any more. */
  #refused: VfmigError | undefined;
  #negotiated: Negotiated | undefined;
  #deferred = 0;
  #deferredBytes = 0;
  #onDrained: (() => void)[] = [];

  constructor(settings: ServerSettings, fd: number) {
    this.settings = settings;
    this.device = settings.device;
    this.irqs = new IrqTable(settings.io, settings.device, settings.logger);
    this.regionMappings = new RegionMappings(settings.device, "the vfio-user client");
    const { io, clock, trace, logger } = settings;
    this.#tracer = trace === undefined ? undefined : new Tracer(trace, clock, io);
    this.replies = new ReplyWriter(this.#tracer);
    const tracer = this.#tracer;
    this.calls = new ClientCalls(
      clock,
      settings.dmaTimeoutMs,
      () => this.#balance(),
      tracer && ((id, command, payload) => tracer.asks(id, command, payload)),
    );
    const misplacedData = settings.clientQuirks.includes("qemu-10.2-dma");
    this.#sharing = new SharingCheck({
      calls: this.calls,
      logger,
      misplacedData,
      onPrivate: (error) => this.#refuseAll(error),
    });
    this.dma = new DmaTable({
      device: settings.device,
      files: new MemoryFiles(io, settings.memoryFiles),
      limit: () => this.negotiated.maxDmaMaps,
      remote: { calls: this.calls, maxData: () => this.negotiated.dmaLimit, misplacedData },
      onUse: (memory, offset, iova) => this.#sharing.onUse(memory, offset, iova),
    });
    this.#sendLimit = Math.max(MIN_SEND_LIMIT, settings.maxDataTransferSize);
    const ended = Promise.withResolvers<void>();
    this.connection = new Connection({
      io: settings.io,
      fd,
      clock: settings.clock,
      maxMessageBytes: STRUCT_BYTES,
      maxFds: MAX_MESSAGE_FDS,
      sendLimitBytes: this.#sendLimit,
      wait: settings.wait,
      busy: () => this.#deferred > 0 || this.calls.pending > 0,
      onMessage: (message) => this.#onMessage(message),
      onEnd: (error) => {
        this.#logEnd(error);
        ended.resolve();
      },
      onDrained: () => this.#drained(),
    });
    io.growSendBuffer(fd, settings.maxDataTransferSize);
    this.replies.attach(this.connection);
    this.calls.attach(this.connection);
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
      if (this.#deferred === 0) this.connection.lookAgain();
    };
    lane.add(
      () => this.#perform(ticket, work, finish),
      () => {
        this.fail(ticket, refusal("ECANCELED", `${commandName(ticket.command)} was cancelled`));
        finish();
      },
    );
  }

  /**
   * The writer of a lane, for replies that its work fills while others are built. Work of one lane never
   * meets, so one buffer serves all of it; fresh memory for each would cost more than what is filled in.
   */
  writerOf(lane: Lane): ReplyWriter {
    let writer = this.#laneWriters.get(lane);
    if (writer === undefined) {
      writer = new ReplyWriter(this.#tracer);
      writer.attach(this.connection);
      this.#laneWriters.set(lane, writer);
    }
    return writer;
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
    if (!message.isCommand) return this.#onReply(message);
    this.#tracer?.begin(message);
    this.#serve(message);
    this.#tracer?.end();
  }

  #onReply(message: Message): void {
    this.#tracer?.replied(message);
    if (message.isReply && this.calls.take(message)) return this.#balance();
    this.settings.logger.debug("vfio-user: a reply that nobody waits for was dropped", {
      command: message.command,
    });
  }

  #serve(message: Message): void {
    if (this.#negotiated === undefined) {
      this.#negotiate(message);
      return;
    }
    const handler = handlerOf(message.command);
    try {
      if (this.#refused !== undefined && !STILL_SERVED.has(message.command)) throw this.#refused;
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
      if (negotiated.twinSocket) this.#sendWithTwin(message, reply.length);
      else this.replies.send(message, reply.length);
      const { checkSharing } = this.settings;
      if (checkSharing === true || (checkSharing === "auto" && negotiated.takesDmaMessages)) {
        this.#sharing.enable();
      }
      this.settings.onClient("connected");
    } catch (error) {
      this.fail(message, error);
      this.connection.protocolError("the version could not be negotiated");
    }
  }

  /** The reply to VERSION with one end of the second socket, over which DMA messages go from then on. */
  #sendWithTwin(message: Message, payloadBytes: number): void {
    const { connection, clientFd } = openTwinSocket(
      this.settings,
      STRUCT_BYTES,
      (reply) => this.#onReply(reply),
      () => this.calls.end("the client has closed the twin socket"),
    );
    this.#twin = connection;
    this.calls.attach(connection);
    this.replies.send(message, payloadBytes, [clientFd]);
    this.settings.io.close(clientFd);
  }

  /** Takes the device's memory and interrupts away, and answers what comes with an error. */
  #refuseAll(error: VfmigError): void {
    if (this.#refused !== undefined || this.connection.closed) return;
    this.#refused = error;
    const { logger } = this.settings;
    logger.error(error.message, { code: error.code, layer: error.layer });
    this.#tracer?.note(error.message);
    const tell = (failure: unknown): void => {
      const text = failure instanceof Error ? failure.message : String(failure);
      logger.error(`vfio-user: taking a private guest's memory away: ${text}`);
    };
    this.irqs.disableAll(tell);
    const unmapAll = async (): Promise<void> => {
      try {
        await this.dma.unmapAll();
      } catch (failure) {
        tell(failure);
      }
    };
    this.dmaLane.add(unmapAll, () => {});
  }

  /** Reads on or pauses, as the client's unread replies and waiting commands allow. */
  #balance(): void {
    // Whoever waits for the client's answers has to read on for them, but not without end.
    const factor = this.calls.pending > 0 ? OWED_FACTOR : 1;
    const congested = factor === 1 && this.connection.congested;
    if (
      congested ||
      this.connection.unsentBytes > this.#sendLimit * factor ||
      this.#deferred > MAX_DEFERRED * factor ||
      this.#deferredBytes > MAX_DEFERRED_BYTES * factor
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
    this.calls.end("the client has disconnected");
    this.#twin?.close();
    this.#tracer?.note(error?.message ?? "the client has disconnected");
    if (error === undefined) this.settings.logger.info("vfio-user: the client has disconnected");
    else this.settings.logger.warn(error.message, { code: error.code });
  }

  async #tearDown(): Promise<void> {
    this.dmaLane.cancelQueued();
    this.migrationLane.cancelQueued();
    this.accessLane.cancelQueued();
    await tearDown(this);
  }
}
