import { Chunk, CHUNK_PAGES, edgeMask, lowestBit } from "./chunk.ts";

/** Chunks in one leaf; a leaf covers 2^28 pages (1 TiB of 4 KiB pages). */
const LEAF_CHUNKS = 1024;

/** Takes the part `[lo, hi)`, in pages from its first, of a chunk that has dirty pages. */
export interface ChunkVisitor {
  chunk(index: number, chunk: Chunk, lo: number, hi: number): void;
}

interface Leaf {
  readonly chunks: (Chunk | undefined)[];
  /** One bit per chunk that has dirty pages. */
  readonly live: Uint32Array;
}

function createLeaf(): Leaf {
  return {
    chunks: Array.from({ length: LEAF_CHUNKS }, () => undefined),
    live: new Uint32Array(LEAF_CHUNKS / 32),
  };
}

/** Finds chunks by page; those without dirty pages cost a walk nothing. */
export class ChunkDirectory {
  readonly #leaves: (Leaf | undefined)[] = [];
  /** Stands for any chunk of which all pages are dirty and none was touched before. Never changed. */
  #full: Chunk | undefined;

  find(index: number): Chunk | undefined {
    return this.#leaves[Math.floor(index / LEAF_CHUNKS)]?.chunks[index % LEAF_CHUNKS];
  }

  /** The chunk, made where it is not there yet. */
  open(index: number): Chunk {
    const leaf = this.#leaf(index);
    const slot = index % LEAF_CHUNKS;
    return (leaf.chunks[slot] ??= new Chunk(leaf.live, slot));
  }

  /** As {@link ChunkDirectory.open}, but never the shared full chunk: what it returns may be cleared. */
  own(index: number): Chunk {
    const chunk = this.open(index);
    if (chunk !== this.#full) return chunk;
    this.drop(index);
    const own = this.open(index);
    own.fill(0, CHUNK_PAGES);
    return own;
  }

  /** Marks a whole chunk; costs no memory where it did not exist. */
  fillWhole(index: number): void {
    const leaf = this.#leaf(index);
    const slot = index % LEAF_CHUNKS;
    const chunk = leaf.chunks[slot];
    if (chunk !== undefined) {
      if (chunk !== this.#full) chunk.fill(0, CHUNK_PAGES);
      return;
    }
    leaf.chunks[slot] = this.#full ??= createFull();
    leaf.live[slot >>> 5] = (leaf.live[slot >>> 5] ?? 0) | (1 << (slot & 31));
  }

  /** Clears a whole chunk. The shared one is let go, others keep their memory for the next mark. */
  clearWhole(index: number, chunk: Chunk): void {
    if (chunk === this.#full) this.drop(index);
    else chunk.wipe();
  }

  isFull(chunk: Chunk): boolean {
    return chunk === this.#full;
  }

  drop(index: number): void {
    const leaf = this.#leaf(index);
    const slot = index % LEAF_CHUNKS;
    leaf.chunks[slot] = undefined;
    leaf.live[slot >>> 5] = (leaf.live[slot >>> 5] ?? 0) & ~(1 << (slot & 31));
  }

  /** Visits, in order, the chunks with dirty pages that overlap pages `[first, end)`. */
  visit(first: number, end: number, visitor: ChunkVisitor): void {
    if (first >= end) return;
    const firstChunk = Math.floor(first / CHUNK_PAGES);
    const lastChunk = Math.floor((end - 1) / CHUNK_PAGES);
    const firstLeaf = Math.floor(firstChunk / LEAF_CHUNKS);
    const lastLeaf = Math.min(Math.floor(lastChunk / LEAF_CHUNKS), this.#leaves.length - 1);
    for (let at = firstLeaf; at <= lastLeaf; at++) {
      const leaf = this.#leaves[at];
      if (leaf === undefined) continue;
      const base = at * LEAF_CHUNKS;
      const lo = Math.max(firstChunk - base, 0);
      const hi = Math.min(lastChunk - base, LEAF_CHUNKS - 1);
      for (let group = lo >>> 5; group <= hi >>> 5; group++) {
        let live = (leaf.live[group] ?? 0) & edgeMask(group, lo, hi + 1);
        while (live !== 0) {
          const slot = group * 32 + lowestBit(live);
          live &= live - 1;
          this.#give(leaf, slot, base + slot, first, end, visitor);
        }
      }
    }
  }

  #give(
    leaf: Leaf,
    slot: number,
    index: number,
    first: number,
    end: number,
    visitor: ChunkVisitor,
  ): void {
    const chunk = leaf.chunks[slot];
    if (chunk === undefined) return;
    const base = index * CHUNK_PAGES;
    visitor.chunk(index, chunk, Math.max(first - base, 0), Math.min(end - base, CHUNK_PAGES));
  }

  #leaf(index: number): Leaf {
    const at = Math.floor(index / LEAF_CHUNKS);
    // Without holes the array stays a plain list; 2^52 bytes of 4 KiB pages are 4,096 entries.
    while (this.#leaves.length <= at) this.#leaves.push(undefined);
    return (this.#leaves[at] ??= createLeaf());
  }
}

function createFull(): Chunk {
  const full = new Chunk(new Uint32Array(1), 0);
  full.fill(0, CHUNK_PAGES);
  return full;
}
