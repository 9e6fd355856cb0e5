import { viewOf } from "./body.ts";
import { VIRTCHNL_OP } from "./opcodes.ts";
import { QUEUE_CONFIG, QUEUE_PAIR_FIELD } from "./queues.ts";

/** Requests whose VSI id stands at byte 0. */
const AT_START: ReadonlySet<number> = new Set([
  VIRTCHNL_OP.CONFIG_VSI_QUEUES,
  VIRTCHNL_OP.ENABLE_QUEUES,
  VIRTCHNL_OP.DISABLE_QUEUES,
  VIRTCHNL_OP.ADD_ETH_ADDR,
  VIRTCHNL_OP.DEL_ETH_ADDR,
  VIRTCHNL_OP.ADD_VLAN,
  VIRTCHNL_OP.DEL_VLAN,
  VIRTCHNL_OP.CONFIG_PROMISCUOUS_MODE,
  VIRTCHNL_OP.GET_STATS,
  VIRTCHNL_OP.CONFIG_RSS_HFUNC,
  VIRTCHNL_OP.CONFIG_RSS_KEY,
  VIRTCHNL_OP.CONFIG_RSS_LUT,
  VIRTCHNL_OP.ADD_FDIR_FILTER,
  VIRTCHNL_OP.DEL_FDIR_FILTER,
  VIRTCHNL_OP.ADD_VLAN_V2,
  VIRTCHNL_OP.DEL_VLAN_V2,
  VIRTCHNL_OP.CONFIG_QUEUE_BW,
]);

/** Requests that are a VLAN V2 setting: two words of ethertypes, then the VSI id. */
const VLAN_SETTINGS: ReadonlySet<number> = new Set([
  VIRTCHNL_OP.ENABLE_VLAN_STRIPPING_V2,
  VIRTCHNL_OP.DISABLE_VLAN_STRIPPING_V2,
  VIRTCHNL_OP.ENABLE_VLAN_INSERTION_V2,
  VIRTCHNL_OP.DISABLE_VLAN_INSERTION_V2,
]);
const VLAN_SETTING_VSI = 8;

/** Offsets of the VSI ids in a request; a body that is too short has fewer. */
export function vsiIdOffsets(opcode: number, body: Uint8Array): number[] {
  const offsets = AT_START.has(opcode) ? [0] : [];
  if (VLAN_SETTINGS.has(opcode)) {
    offsets.push(VLAN_SETTING_VSI);
  }
  if (opcode === VIRTCHNL_OP.CONFIG_VSI_QUEUES && body.length >= QUEUE_CONFIG.HEADER) {
    const pairs = Math.min(viewOf(body).getUint16(2, true), QUEUE_CONFIG.MAX_PAIRS);
    for (let pair = 0; pair < pairs; pair++) {
      const at = QUEUE_CONFIG.HEADER + QUEUE_CONFIG.PAIR * pair;
      offsets.push(at + QUEUE_PAIR_FIELD.TX_VSI, at + QUEUE_PAIR_FIELD.RX_VSI);
    }
  }
  if (opcode === VIRTCHNL_OP.CONFIG_IRQ_MAP && body.length >= 2) {
    const maps = Math.min(viewOf(body).getUint16(0, true), 64);
    for (let map = 0; map < maps; map++) {
      offsets.push(2 + 12 * map);
    }
  }
  return offsets.filter((offset) => offset + 2 <= body.length);
}

/**
 * The request with the guest's VSI id replaced by the host's. Any other id stays one that the PF
 * refuses: a guest that names the host's by chance gets its own, which the PF does not know.
 */
export function translateVsiId(
  opcode: number,
  body: Uint8Array,
  guest: number,
  host: number,
): Uint8Array {
  if (guest === host) {
    return body;
  }
  const translated = body.slice();
  const data = viewOf(translated);
  for (const offset of vsiIdOffsets(opcode, body)) {
    const id = data.getUint16(offset, true);
    data.setUint16(offset, id === guest ? host : id === host ? guest : id, true);
  }
  return translated;
}
