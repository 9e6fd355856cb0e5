import { parseRssConfig, type RssConfig } from "../virtchnl/rss-config.ts";

/** Kinds of flow that are remembered at most; far more than PFs know. */
const LIMIT = 64;

/** The last word on one kind of flow. */
export interface RssFlow extends RssConfig {
  /** ADD_RSS_CFG; otherwise DEL_RSS_CFG, which also takes away what a PF hashes by itself. */
  readonly add: boolean;
}

/** What ADD_RSS_CFG and DEL_RSS_CFG have left, one entry for each kind of flow, latest last. */
export class RssFlows {
  readonly #flows: Map<string, RssFlow> = new Map();

  get flows(): readonly RssFlow[] {
    return [...this.#flows.values()];
  }

  /** Takes a granted request; false where there are too many to be carried. */
  change(add: boolean, request: Uint8Array): boolean {
    return this.set({ ...parseRssConfig(request), add });
  }

  /** False where there is no room for another kind of flow. */
  set(flow: RssFlow): boolean {
    const key = [flow.tunnelLevel, ...flow.headers.map(({ type }) => type)].join(".");
    if (!this.#flows.has(key) && this.#flows.size >= LIMIT) {
      return false;
    }
    this.#flows.delete(key);
    this.#flows.set(key, flow);
    return true;
  }

  clear(): void {
    this.#flows.clear();
  }
}
