const PAGE = 4096;

/** Sets the bits of `pages` (page numbers counted from the start of the memory) in `bitmap`. */
export function addPages(bitmap: Uint8Array, pages: Iterable<number>): void {
  for (const page of pages) {
    const at = page >>> 3;
    bitmap[at] = (bitmap[at] ?? 0) | (1 << (page & 7));
  }
}

/** Number of bits that are set. */
export function countPages(bitmap: Uint8Array): number {
  let count = 0;
  for (let byte of bitmap) for (; byte !== 0; byte &= byte - 1) count += 1;
  return count;
}

/** Copies the pages whose bits are set, in runs; returns how many there were. */
export function copyPages(bitmap: Uint8Array, from: Uint8Array, to: Uint8Array): number {
  const pages = from.length / PAGE;
  let copied = 0;
  for (let page = 0; page < pages;) {
    if (!isSet(bitmap, page)) {
      page += 1;
      continue;
    }
    const first = page;
    while (page < pages && isSet(bitmap, page)) page += 1;
    to.set(from.subarray(first * PAGE, page * PAGE), first * PAGE);
    copied += page - first;
  }
  return copied;
}

/** Copies all of `from` while the rest of the process goes on: a mebibyte in each turn of the event loop. */
export async function copyWhileRunning(
  from: Uint8Array,
  to: Uint8Array,
  turn: () => Promise<void>,
): Promise<void> {
  const step = 1 << 20;
  for (let at = 0; at < from.length; at += step) {
    to.set(from.subarray(at, Math.min(at + step, from.length)), at);
    await turn();
  }
}

/** Whether page `page` is in `bitmap`, least significant bit first. */
export function isSet(bitmap: Uint8Array, page: number): boolean {
  return (((bitmap[page >>> 3] ?? 0) >>> (page & 7)) & 1) === 1;
}
