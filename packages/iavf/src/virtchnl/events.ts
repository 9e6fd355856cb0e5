import { bodyError } from "../errors.ts";
import { expectLength, viewOf } from "./body.ts";
import { VF_CAP } from "./capabilities.ts";

/** Kinds of EVENT (17). */
export const VF_EVENT = { LINK_CHANGE: 1, RESET_IMPENDING: 2, PF_DRIVER_CLOSE: 3 } as const;

/** Severity of an EVENT. */
export const EVENT_SEVERITY = { INFO: 0, CERTAIN_DOOM: 255 } as const;

/** Legacy link speed bits, by speed in Mbit/s. */
export const LEGACY_SPEED: Readonly<Record<number, number>> = {
  2_500: 0x01,
  100: 0x02,
  1_000: 0x04,
  10_000: 0x08,
  40_000: 0x10,
  20_000: 0x20,
  25_000: 0x40,
  5_000: 0x80,
};

/** EVENT (17), PF to VF: 16 bytes. */
export interface VfEvent {
  /** See {@link VF_EVENT}. */
  readonly event: number;
  /** Mbit/s with ADV_LINK_SPEED, else a bit of {@link LEGACY_SPEED}. */
  readonly speed: number;
  readonly linkUp: boolean;
  readonly severity: number;
}

export function buildEvent(event: VfEvent): Uint8Array {
  const body = new Uint8Array(16);
  const data = viewOf(body);
  data.setInt32(0, event.event, true);
  data.setUint32(4, event.speed, true);
  data.setUint8(8, event.linkUp ? 1 : 0);
  data.setInt32(12, event.severity, true);
  return body;
}

/** @throws VfmigError `ERR_VFMIG_VIRTCHNL_BODY` */
export function parseEvent(body: Uint8Array): VfEvent {
  const data = expectLength("EVENT", body, 16);
  return {
    event: data.getInt32(0, true),
    speed: data.getUint32(4, true),
    linkUp: data.getUint8(8) !== 0,
    severity: data.getInt32(12, true),
  };
}

/**
 * A link EVENT as a guest with capabilities `guest` reads it, from a PF that tells the speed as to one
 * with capabilities `host`. Any other body is returned as it is.
 */
export function guestLinkSpeed(body: Uint8Array, guest: number, host: number): Uint8Array {
  const told = body.length === 16 ? parseEvent(body) : undefined;
  const advanced = (host & ~guest & VF_CAP.ADV_LINK_SPEED) !== 0;
  if (told?.event !== VF_EVENT.LINK_CHANGE || !advanced) {
    return body;
  }
  return buildEvent({ ...told, speed: LEGACY_SPEED[told.speed] ?? 0 });
}

/** Names of the words of a GET_STATS reply, in order. */
export const STATS_WORDS = [
  "rxBytes",
  "rxUnicast",
  "rxMulticast",
  "rxBroadcast",
  "rxDiscards",
  "rxUnknownProtocol",
  "txBytes",
  "txUnicast",
  "txMulticast",
  "txBroadcast",
  "txDiscards",
  "txErrors",
] as const;

export type VfStats = Readonly<Record<(typeof STATS_WORDS)[number], bigint>>;

/** Reply lengths of GET_STATS: the plain one, and that of i40e with one more word. */
export const STATS_LENGTH = { BASIC: 96, I40E: 104 } as const;

/** Reply of GET_STATS (15), padded with zeros to `length` bytes. */
export function buildStats(stats: VfStats, length: number = STATS_LENGTH.BASIC): Uint8Array {
  const body = new Uint8Array(length);
  const data = viewOf(body);
  for (const [index, word] of STATS_WORDS.entries()) {
    data.setBigUint64(8 * index, stats[word], true);
  }
  return body;
}

/** @throws VfmigError `ERR_VFMIG_VIRTCHNL_BODY` */
export function parseStats(body: Uint8Array): VfStats {
  if (body.length !== STATS_LENGTH.BASIC && body.length !== STATS_LENGTH.I40E) {
    throw bodyError("GET_STATS reply", `${body.length} bytes are neither 96 nor 104`, {
      length: body.length,
    });
  }
  const data = viewOf(body);
  const word = (name: (typeof STATS_WORDS)[number]): bigint =>
    data.getBigUint64(8 * STATS_WORDS.indexOf(name), true);
  return {
    rxBytes: word("rxBytes"),
    rxUnicast: word("rxUnicast"),
    rxMulticast: word("rxMulticast"),
    rxBroadcast: word("rxBroadcast"),
    rxDiscards: word("rxDiscards"),
    rxUnknownProtocol: word("rxUnknownProtocol"),
    txBytes: word("txBytes"),
    txUnicast: word("txUnicast"),
    txMulticast: word("txMulticast"),
    txBroadcast: word("txBroadcast"),
    txDiscards: word("txDiscards"),
    txErrors: word("txErrors"),
  };
}
