import { VIRTCHNL_OP } from "../virtchnl/opcodes.ts";
import { parseVlanSetting, parseVlanV2List, type VlanV2Filter } from "../virtchnl/vlan-v2.ts";

/** Filters that are remembered at most: what a PF gives a VF that it trusts. */
const LIMIT = 4096;

export type VlanOffloadKind = "stripping" | "insertion";
export type VlanTagPlace = "outer" | "inner";

/** The last word on one offload of one tag. */
export interface VlanOffload {
  readonly offload: VlanOffloadKind;
  readonly tag: VlanTagPlace;
  readonly on: boolean;
  /** Ethertype bits as the guest asked. */
  readonly ethertype: number;
}

const OFFLOADS: ReadonlyMap<number, { readonly offload: VlanOffloadKind; readonly on: boolean }> =
  new Map([
    [VIRTCHNL_OP.ENABLE_VLAN_STRIPPING_V2, { offload: "stripping", on: true }],
    [VIRTCHNL_OP.DISABLE_VLAN_STRIPPING_V2, { offload: "stripping", on: false }],
    [VIRTCHNL_OP.ENABLE_VLAN_INSERTION_V2, { offload: "insertion", on: true }],
    [VIRTCHNL_OP.DISABLE_VLAN_INSERTION_V2, { offload: "insertion", on: false }],
  ]);

/** Filters and offloads of VLAN V2, as the PF has granted them. */
export class VlanSettings {
  readonly #filters: Map<string, VlanV2Filter> = new Map();
  readonly #offloads: Map<string, VlanOffload> = new Map();

  get filters(): readonly VlanV2Filter[] {
    return [...this.#filters.values()];
  }

  get offloads(): readonly VlanOffload[] {
    return [...this.#offloads.values()];
  }

  /** Takes a granted request; false where it is none of VLAN V2, or one too many to be carried. */
  granted(opcode: number, request: Uint8Array): boolean {
    if (opcode === VIRTCHNL_OP.ADD_VLAN_V2) {
      return parseVlanV2List(request).filters.every((filter) => this.addFilter(filter));
    }
    if (opcode === VIRTCHNL_OP.DEL_VLAN_V2) {
      for (const filter of parseVlanV2List(request).filters) {
        this.#filters.delete(keyOf(filter));
      }
      return true;
    }
    const offload = OFFLOADS.get(opcode);
    if (offload === undefined) {
      return false;
    }
    const setting = parseVlanSetting(request);
    for (const tag of ["outer", "inner"] as const) {
      if (setting[tag] !== 0) {
        this.setOffload({ ...offload, tag, ethertype: setting[tag] });
      }
    }
    return true;
  }

  /** False where there is no room for another one. */
  addFilter(filter: VlanV2Filter): boolean {
    const key = keyOf(filter);
    if (!this.#filters.has(key) && this.#filters.size >= LIMIT) {
      return false;
    }
    this.#filters.set(key, filter);
    return true;
  }

  setOffload(offload: VlanOffload): void {
    const key = `${offload.offload}.${offload.tag}`;
    // What was said last is repeated last.
    this.#offloads.delete(key);
    this.#offloads.set(key, offload);
  }

  clear(): void {
    this.#filters.clear();
    this.#offloads.clear();
  }
}

function keyOf({ inner, outer }: VlanV2Filter): string {
  return [inner.tci, inner.tciMask, inner.tpid, outer.tci, outer.tciMask, outer.tpid].join(".");
}
