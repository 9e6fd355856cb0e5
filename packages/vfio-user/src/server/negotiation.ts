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
  return {
    negotiated: {
      client,
      replyLimit: Math.min(maxDataTransferSize, client.maxDataTransferSize),
      bitmapLimit: Math.min(maxBitmapSize, client.migration?.maxBitmapSize ?? maxBitmapSize),
    },
    reply: encodeVersion(
      PROTOCOL.major,
      Math.min(PROTOCOL.minor, proposal.minor),
      answerJson(proposal, settings),
    ),
  };
}

function answerJson(proposal: VersionMessage, settings: ServerSettings): string {
  const own: Capabilities = {
    maxMsgFds: MAX_MESSAGE_FDS,
    maxDataTransferSize: settings.maxDataTransferSize,
    maxDmaMaps: settings.maxDmaMaps,
    pageSizes: settings.io.pageSize,
    migration: settings.device.migration && {
      pageSize: settings.io.pageSize,
      maxBitmapSize: settings.maxBitmapSize,
    },
    vfmig: proposal.capabilities.vfmig?.thread === threadToken() ? { sameThread: true } : {},
  };
  // These two differ from what the specification assumes of a silent server, so they are always named.
  const named = new Set([...proposal.named, "max_msg_fds", "max_data_xfer_size"]);
  return capabilitiesJson(own, named);
}
