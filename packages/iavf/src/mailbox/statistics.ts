import { addStatistics, statisticsWords } from "../virtchnl/statistics.ts";

/**
 * Counters of a guest that has had several PFs since its VF was reset: each PF counts from 0, the
 * guest's counters go on.
 */
export class Statistics {
  #before: readonly bigint[] = [];
  #here: readonly bigint[] = [];

  /** Takes this PF's answer to GET_STATS; returns what the guest is to get. */
  answered(reply: Uint8Array): Uint8Array {
    this.#here = statisticsWords(reply);
    return addStatistics(reply, this.#before);
  }

  /** The guest's counters as far as this host knows them. */
  get totals(): bigint[] {
    const words = Math.max(this.#before.length, this.#here.length);
    return Array.from({ length: words }, (_, index) =>
      BigInt.asUintN(64, (this.#before[index] ?? 0n) + (this.#here[index] ?? 0n)),
    );
  }

  /** Goes on from the counters of another host. */
  continueFrom(totals: readonly bigint[]): void {
    this.#before = [...totals];
    this.#here = [];
  }

  clear(): void {
    this.#before = [];
    this.#here = [];
  }
}
