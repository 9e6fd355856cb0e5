import { HEADER } from "../codec/header.ts";
import { Connection } from "../transport/connection.ts";
import type { Message } from "../transport/message.ts";
import { MAX_MESSAGE_FDS } from "./negotiation.ts";
import type { ServerSettings } from "./options.ts";

/** The second socket, over which DMA messages and nothing else go. */
export interface TwinSocket {
  readonly connection: Connection;
  /** The client's end, to be sent to it and closed then. */
  readonly clientFd: number;
}

/** A pair of sockets of which one is served already; `onEnd` runs when the client closes the other. */
export function openTwinSocket(
  settings: ServerSettings,
  structBytes: number,
  onReply: (message: Message) => void,
  onEnd: () => void,
): TwinSocket {
  const { io, clock, maxDataTransferSize, logger } = settings;
  const [ours, clientFd] = io.socketPair();
  const connection = new Connection({
    io,
    fd: ours,
    clock,
    maxMessageBytes: HEADER.BYTES + structBytes + maxDataTransferSize,
    maxFds: MAX_MESSAGE_FDS,
    sendLimitBytes: maxDataTransferSize,
    onMessage: (message) => {
      if (message.isReply) onReply(message);
      else connection.protocolError("a command came over the twin socket");
    },
    onEnd: (error) => {
      if (error !== undefined) logger.warn(error.message, { code: error.code });
      onEnd();
    },
  });
  connection.start();
  return { connection, clientFd };
}
