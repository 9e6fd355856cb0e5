import {
  capabilitiesJson,
  decodeVersion,
  encodeVersion,
  PROTOCOL,
  versionError,
  type Capabilities,
  type VersionMessage,
} from "../codec/version.ts";
import { threadToken } from "../thread-token.ts";
import type { ServerSettings } from "./options.ts";

/** QEMU sends at most 16 fds and refuses a server that offers to take more. */
export const MAX_MESSAGE_FDS = 16;

/** What both sides may do after the negotiation; sizes in bytes. */
export interface Negotiated {
  readonly client: Capabilities;
  /** Most data in a reply to this client. */
  readonly replyLimit: number;
  readonly bitmapLimit: number;
  /** Most data of a DMA message, in bytes. */
  readonly dmaLimit: number;
  readonly maxDmaMaps: number;
  /** Both sides take REGION_WRITE_MULTI. */
  readonly writeMultiple: boolean;
  /** DMA messages go over a second socket. */
  readonly twinSocket: boolean;
  /** Both sides speak of layouts that change (`vfmig.layout`). */
  readonly layouts: boolean;
  /** The client is of a kind that answers DMA messages as the specification has them, or nearly. */
  readonly takesDmaMessages: boolean;
}

/**
 * Reads a client's proposal and builds the payload of the answer, which names only what the client
 * named: QEMU refuses an answer that is longer than its own message.
 * @throws VfmigError `ERR_VFMIG_VFIO_USER_VERSION`, `ERR_VFMIG_VFIO_USER_REQUEST`
 */
export function negotiate(
  payload: Uint8Array,
  settings: ServerSettings,
): { readonly negotiated: Negotiated; readonly reply: Uint8Array } {
  const proposal = decodeVersion(payload);
  if (proposal.major !== PROTOCOL.major) {
    throw versionError(`the client speaks ${proposal.major}.${proposal.minor}; this server 0.x`);
  }
  const client = proposal.capabilities;
  const { maxDataTransferSize, maxBitmapSize } = settings;
  if ((BigInt(client.pageSizes) & BigInt(settings.io.pageSize)) === 0n) {
    throw versionError(
      `the client maps in pages of ${client.pageSizes}, this server in pages of ${settings.io.pageSize}`,
    );
  }
  const dataLimit = Math.min(maxDataTransferSize, client.maxDataTransferSize);
  return {
    negotiated: {
      client,
      replyLimit: dataLimit,
      bitmapLimit: Math.min(maxBitmapSize, client.migration?.maxBitmapSize ?? maxBitmapSize),
      dmaLimit: dataLimit,
      maxDmaMaps: Math.min(settings.maxDmaMaps, client.maxDmaMaps),
      writeMultiple: settings.writeMultiple && client.writeMultiple === true,
      twinSocket: wantsTwin(proposal, settings),
      layouts: client.vfmig?.layout === true,
      // The Rust crate of cloud-hypervisor names neither, and takes a command for a reply.
      takesDmaMessages: proposal.named.has("pgsizes") || proposal.named.has("max_dma_maps"),
    },
    reply: encodeVersion(
      PROTOCOL.major,
      Math.min(PROTOCOL.minor, proposal.minor),
      answerJson(proposal, settings),
    ),
  };
}

function wantsTwin({ capabilities }: VersionMessage, settings: ServerSettings): boolean {
  // Without room for an fd in a reply there is no way to hand it over.
  return (
    settings.twinSocket && capabilities.twinSocket?.supported === true && capabilities.maxMsgFds > 0
  );
}

function answerJson(proposal: VersionMessage, settings: ServerSettings): string {
  const own: Capabilities = {
    maxMsgFds: MAX_MESSAGE_FDS,
    maxDataTransferSize: settings.maxDataTransferSize,
    maxDmaMaps: Math.min(settings.maxDmaMaps, proposal.capabilities.maxDmaMaps),
    pageSizes: settings.io.pageSize,
    writeMultiple:
      settings.writeMultiple && proposal.capabilities.writeMultiple === true ? true : undefined,
    twinSocket: wantsTwin(proposal, settings) ? { supported: true, fdIndex: 0 } : undefined,
    migration: settings.device.migration && {
      pageSize: settings.io.pageSize,
      maxBitmapSize: settings.maxBitmapSize,
    },
    vfmig: {
      ...(proposal.capabilities.vfmig?.thread === threadToken() ? { sameThread: true } : {}),
      ...(proposal.capabilities.vfmig?.layout === true ? { layout: true } : {}),
    },
  };
  // These two differ from what the specification assumes of a silent server, so they are always named.
  const named = new Set([...proposal.named, "max_msg_fds", "max_data_xfer_size"]);
  return capabilitiesJson(own, named);
}
