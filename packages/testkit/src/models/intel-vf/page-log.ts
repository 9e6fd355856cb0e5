/** Bytes of a page in the log. */
export const LOG_PAGE_SIZE = 4096;

/** Which guest pages a device wrote by DMA since the log was last cleared. */
export class PageLog {
  readonly #pages: Set<number> = new Set();
  #last = -1;

  mark(iova: number, length: number): void {
    if (length === 0) return;
    const first = Math.floor(iova / LOG_PAGE_SIZE);
    const last = Math.floor((iova + length - 1) / LOG_PAGE_SIZE);
    if (first === last && first === this.#last) return;
    for (let page = first; page <= last; page++) this.#pages.add(page);
    this.#last = last;
  }

  /** Page numbers, in ascending order. */
  pages(): readonly number[] {
    return [...this.#pages].toSorted((a, b) => a - b);
  }

  clear(): void {
    this.#pages.clear();
    this.#last = -1;
  }
}
