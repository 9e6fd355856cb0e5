import { lowestBit, type WordSink } from "./chunk.ts";

/** Joins dirty pages to runs, across words and chunks. Both callbacks speak bytes. */
export class RunSink implements WordSink {
  readonly #pageSize: number;
  readonly #give: (iova: number, length: number) => void;
  #first = 0;
  #end = 0;

  constructor(pageSize: number, give: (iova: number, length: number) => void) {
    this.#pageSize = pageSize;
    this.#give = give;
  }

  word(firstPage: number, bits: number): void {
    let left = bits;
    while (left !== 0) {
      const from = lowestBit(left);
      const rest = ~(left >>> from);
      // The ones from `from` upwards; 32 of them leave no zero to find.
      const ones = rest === 0 ? 32 : lowestBit(rest);
      this.#add(firstPage + from, firstPage + from + ones);
      left = from + ones >= 32 ? 0 : left & (-1 << (from + ones));
    }
  }

  /** Gives the last run. */
  flush(): void {
    if (this.#end === this.#first) return;
    const { iova, length } = {
      iova: this.#first * this.#pageSize,
      length: (this.#end - this.#first) * this.#pageSize,
    };
    this.#first = this.#end;
    this.#give(iova, length);
  }

  #add(first: number, end: number): void {
    if (first !== this.#end) {
      this.flush();
      this.#first = first;
    }
    this.#end = end;
  }
}

/** Gives each dirty page. */
export class PageSink implements WordSink {
  readonly #pageSize: number;
  readonly #give: (iova: number) => void;

  constructor(pageSize: number, give: (iova: number) => void) {
    this.#pageSize = pageSize;
    this.#give = give;
  }

  word(firstPage: number, bits: number): void {
    for (let left = bits; left !== 0; left &= left - 1) {
      this.#give((firstPage + lowestBit(left)) * this.#pageSize);
    }
  }
}

/** Counts dirty pages. */
export class CountSink implements WordSink {
  pages = 0;

  word(_firstPage: number, bits: number): void {
    // Population count in a word, by halves (Hacker's Delight, 5-1).
    let n = bits - ((bits >>> 1) & 0x55555555);
    n = (n & 0x33333333) + ((n >>> 2) & 0x33333333);
    n = (n + (n >>> 4)) & 0x0f0f0f0f;
    this.pages += Math.imul(n, 0x01010101) >>> 24;
  }
}
