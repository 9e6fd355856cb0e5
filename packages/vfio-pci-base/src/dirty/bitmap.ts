/** Pages in one request to the kernel: 2^23, whose bits take a MiB. */
export const PAGES_AT_ONCE: number = 2 ** 23;

/** Sets the bits `[first, end)`, least significant first. */
export function setBits(bitmap: Uint8Array, first: number, end: number): void {
  let bit = first;
  for (; bit < end && bit % 8 !== 0; bit += 1)
    bitmap[bit >> 3] = (bitmap[bit >> 3] ?? 0) | (1 << (bit & 7));
  const whole = end - (end % 8);
  if (bit < whole) {
    bitmap.fill(0xff, bit / 8, whole / 8);
    bit = whole;
  }
  for (; bit < end; bit += 1) bitmap[bit >> 3] = (bitmap[bit >> 3] ?? 0) | (1 << (bit & 7));
}

/** Sets in `bitmap` the pages that hold bytes `[from, to)`, of a range that starts at `base`. */
export function setPages(
  bitmap: Uint8Array,
  base: number,
  pageSize: number,
  from: number,
  to: number,
): void {
  if (to <= from) return;
  setBits(bitmap, Math.floor((from - base) / pageSize), Math.ceil((to - base) / pageSize));
}

/** Calls `run` for each run of set bits below `count`. */
export function eachRun(
  bits: Uint8Array,
  count: number,
  run: (first: number, end: number) => void,
): void {
  let start = -1;
  for (let bit = 0; bit < count;) {
    const byte = bits[bit >> 3] ?? 0;
    if ((bit & 7) === 0 && bit + 8 <= count && (byte === 0 || byte === 0xff)) {
      if (byte === 0 && start >= 0) {
        run(start, bit);
        start = -1;
      } else if (byte === 0xff && start < 0) start = bit;
      bit += 8;
      continue;
    }
    const set = (byte & (1 << (bit & 7))) !== 0;
    if (set && start < 0) start = bit;
    else if (!set && start >= 0) {
      run(start, bit);
      start = -1;
    }
    bit += 1;
  }
  if (start >= 0) run(start, count);
}
