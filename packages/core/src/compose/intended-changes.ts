import { INTENDED_BYTES, type IntendedChange } from "../sub-driver/intended-change.ts";

/** Hands what a sub-driver says of its own changes to whoever records the device. */
export class IntendedChanges {
  #listener: ((change: IntendedChange) => void) | undefined;

  listen(listener: (change: IntendedChange) => void): void {
    this.#listener = listener;
  }

  /** What is no change, or too long for one, nobody hears of: the difference then counts. */
  tell(change: IntendedChange): void {
    const { iova, mask } = change;
    const sound = Number.isSafeInteger(iova) && iova >= 0 && mask.length <= INTENDED_BYTES;
    if (sound) this.#listener?.(change);
  }
}
