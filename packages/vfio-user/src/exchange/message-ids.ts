import { VfmigError } from "@vfmig/core";

/** Ids are 16 bits wide. */
const IDS = 0x1_0000;

/** Gives ids to requests. One whose caller has given up is not used again before its late reply. */
export class MessageIds {
  readonly #abandoned = new Set<number>();
  #next = 1;

  /**
   * The next id that is neither abandoned nor `busy`.
   * @throws VfmigError `ERR_VFMIG_VFIO_USER_TIMEOUT` where none is left
   */
  take(busy: ReadonlyMap<number, unknown>): number {
    for (let tries = 0; tries < IDS; tries += 1) {
      const id = this.#next;
      this.#next = (id + 1) % IDS;
      if (!busy.has(id) && !this.#abandoned.has(id)) return id;
    }
    throw new VfmigError(
      "ERR_VFMIG_VFIO_USER_TIMEOUT",
      "vfio-user: the peer has 65,536 requests to answer, and no id is left; close the connection",
      { layer: "vfio-user" },
    );
  }

  abandon(id: number): void {
    this.#abandoned.add(id);
  }

  /** A reply that nobody waits for has come; true where somebody did once. */
  returned(id: number): boolean {
    return this.#abandoned.delete(id);
  }
}
