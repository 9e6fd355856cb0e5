import { VfmigError } from "@vfmig/core";
import { needPayload } from "./wire.ts";

/** `VFIO_USER_VERSION`: offsets in the payload, in bytes. */
export const VERSION = { MAJOR: 0, MINOR: 2, DATA: 4, BYTES: 4 } as const;

/** The version that this package speaks: 0.1 has everything that it uses. */
export const PROTOCOL = { major: 0, minor: 1 } as const;

/** What one side says of itself. Sizes in bytes. */
export interface Capabilities {
  /** Most fds that this side takes in one message. */
  readonly maxMsgFds: number;
  /** Most data that this side takes in one message. */
  readonly maxDataTransferSize: number;
  readonly maxDmaMaps: number;
  readonly pageSizes: number;
  readonly migration?: { readonly pageSize: number; readonly maxBitmapSize: number } | undefined;
  /** The side takes REGION_WRITE_MULTI; both must say so. */
  readonly writeMultiple?: boolean | undefined;
  /**
   * A second socket for DMA messages: whether a client can have one, and with which fd of the reply the
   * server gave it.
   */
  readonly twinSocket?: { readonly supported: boolean; readonly fdIndex?: number } | undefined;
  /** Present where the peer is vfmig too: a client's thread, or a server's word on it. */
  readonly vfmig?:
    | {
        readonly thread?: string;
        readonly sameThread?: boolean;
        /** The side speaks of layouts that change: REGION_UNMAPPED, irq types, saving areas. */
        readonly layout?: boolean;
      }
    | undefined;
}

export interface VersionMessage {
  readonly major: number;
  readonly minor: number;
  readonly capabilities: Capabilities;
  /** Names of the capabilities that the JSON had; a reply may use only these. */
  readonly named: ReadonlySet<string>;
}

/** What the specification says of a side that names no capability. */
export const DEFAULT_CAPABILITIES: Capabilities = {
  maxMsgFds: 1,
  maxDataTransferSize: 1_048_576,
  maxDmaMaps: 65_535,
  pageSizes: 4096,
};

const decoder = new TextDecoder("utf-8", { fatal: true });
const encoder = new TextEncoder();

/** The JSON that `capabilities` are on the wire, of the names in `only` where given. */
export function capabilitiesJson(capabilities: Capabilities, only?: ReadonlySet<string>): string {
  const all = {
    max_msg_fds: capabilities.maxMsgFds,
    max_data_xfer_size: capabilities.maxDataTransferSize,
    max_dma_maps: capabilities.maxDmaMaps,
    pgsizes: capabilities.pageSizes,
    migration: capabilities.migration && {
      pgsize: capabilities.migration.pageSize,
      max_bitmap_size: capabilities.migration.maxBitmapSize,
    },
    write_multiple: capabilities.writeMultiple,
    twin_socket: capabilities.twinSocket && {
      supported: capabilities.twinSocket.supported,
      fd_index: capabilities.twinSocket.fdIndex,
    },
    vfmig: capabilities.vfmig && {
      thread: capabilities.vfmig.thread,
      same_thread: capabilities.vfmig.sameThread,
      layout: capabilities.vfmig.layout,
    },
  };
  const entries = Object.entries(all).filter(
    ([name, value]) => value !== undefined && (only === undefined || only.has(name)),
  );
  return JSON.stringify({ capabilities: Object.fromEntries(entries) });
}

/** The payload of a request or reply: version, JSON text, NUL. */
export function encodeVersion(major: number, minor: number, json: string): Uint8Array {
  const text = encoder.encode(json);
  const payload = new Uint8Array(VERSION.BYTES + text.length + 1);
  const view = new DataView(payload.buffer);
  view.setUint16(VERSION.MAJOR, major, true);
  view.setUint16(VERSION.MINOR, minor, true);
  payload.set(text, VERSION.DATA);
  return payload;
}

/**
 * Reads a request or reply. Unknown names are passed over, known ones must have their type and range.
 * @throws VfmigError `ERR_VFMIG_VFIO_USER_VERSION`, `ERR_VFMIG_VFIO_USER_REQUEST` (too short)
 */
export function decodeVersion(payload: Uint8Array): VersionMessage {
  needPayload("VFIO_USER_VERSION", payload.length, VERSION.BYTES);
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const major = view.getUint16(VERSION.MAJOR, true);
  const minor = view.getUint16(VERSION.MINOR, true);
  if (payload.length === VERSION.BYTES) {
    return { major, minor, capabilities: DEFAULT_CAPABILITIES, named: new Set() };
  }
  if (payload[payload.length - 1] !== 0) throw versionError("the capabilities do not end with NUL");
  const json = parse(payload.subarray(VERSION.DATA, payload.length - 1));
  const raw = objectOf(json["capabilities"] ?? {}, "capabilities");
  return { major, minor, capabilities: readCapabilities(raw), named: new Set(Object.keys(raw)) };
}

function readCapabilities(raw: Readonly<Record<string, unknown>>): Capabilities {
  const fallback = DEFAULT_CAPABILITIES;
  const migration = raw["migration"];
  const vfmig = raw["vfmig"];
  return {
    maxMsgFds: integer(raw, "max_msg_fds", fallback.maxMsgFds, 0, 1024),
    maxDataTransferSize: integer(
      raw,
      "max_data_xfer_size",
      fallback.maxDataTransferSize,
      1,
      0xffff_ffff,
    ),
    maxDmaMaps: integer(raw, "max_dma_maps", fallback.maxDmaMaps, 0, 0xffff_ffff),
    pageSizes: integer(raw, "pgsizes", fallback.pageSizes, 1, Number.MAX_SAFE_INTEGER),
    migration: migration === undefined ? undefined : readMigration(migration),
    writeMultiple: boolean(raw, "write_multiple"),
    twinSocket: raw["twin_socket"] === undefined ? undefined : readTwinSocket(raw["twin_socket"]),
    vfmig: vfmig === undefined ? undefined : readOwn(objectOf(vfmig, "vfmig")),
  };
}

function readMigration(value: unknown): NonNullable<Capabilities["migration"]> {
  const raw = objectOf(value, "migration");
  return {
    pageSize: integer(raw, "pgsize", 4096, 1, Number.MAX_SAFE_INTEGER),
    maxBitmapSize: integer(raw, "max_bitmap_size", 268_435_456, 0, Number.MAX_SAFE_INTEGER),
  };
}

function readTwinSocket(value: unknown): NonNullable<Capabilities["twinSocket"]> {
  const raw = objectOf(value, "twin_socket");
  const supported = boolean(raw, "supported") ?? false;
  if (raw["fd_index"] === undefined) return { supported };
  return { supported, fdIndex: integer(raw, "fd_index", 0, 0, 1023) };
}

function readOwn(raw: Readonly<Record<string, unknown>>): NonNullable<Capabilities["vfmig"]> {
  const thread = raw["thread"];
  return {
    ...(typeof thread === "string" ? { thread } : {}),
    ...(raw["same_thread"] === true ? { sameThread: true } : {}),
    ...(raw["layout"] === true ? { layout: true } : {}),
  };
}

function parse(text: Uint8Array): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(decoder.decode(text));
  } catch (cause) {
    throw versionError("the capabilities are not JSON", cause);
  }
  return objectOf(value, "the JSON text");
}

function objectOf(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (!isObject(value)) throw versionError(`${what} is not a JSON object`);
  return value;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function integer(
  raw: Readonly<Record<string, unknown>>,
  name: string,
  fallback: number,
  least: number,
  most: number,
): number {
  const value = raw[name];
  if (value === undefined) return fallback;
  if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= most) {
    return value;
  }
  throw versionError(`capability ${name} is no integer from ${least} to ${most}`);
}

function boolean(raw: Readonly<Record<string, unknown>>, name: string): boolean | undefined {
  const value = raw[name];
  if (value === undefined || typeof value === "boolean") return value;
  throw versionError(`capability ${name} is neither true nor false`);
}

/** The error of a failed negotiation; a server answers it with EINVAL. */
export function versionError(problem: string, cause?: unknown): VfmigError {
  return new VfmigError("ERR_VFMIG_VFIO_USER_VERSION", `VFIO_USER_VERSION: ${problem}`, {
    layer: "vfio-user",
    details: { errno: 22 },
    cause,
  });
}
