import { describe, expect, it } from "vitest";
import { Chunk, CHUNK_PAGES } from "./chunk.ts";

const ignore = { word(): void {} };

describe("a chunk", () => {
  it("is live while it has dirty pages, and not after the last was read or all were wiped", () => {
    const live = new Uint32Array(2);
    const chunk = new Chunk(live, 33);
    chunk.mark(0, 0);
    expect([...live]).toEqual([0, 0]);
    chunk.fill(31, 65);
    chunk.fill(CHUNK_PAGES - 1, CHUNK_PAGES);
    expect([...live]).toEqual([0, 2]);
    chunk.visit(0, 65, 0, ignore, true);
    expect([...live]).toEqual([0, 2]);
    chunk.visit(65, CHUNK_PAGES, 0, ignore, true);
    expect([...live]).toEqual([0, 0]);
    chunk.fill(7, 8);
    expect([...live]).toEqual([0, 2]);
    chunk.wipe();
    expect([...live]).toEqual([0, 0]);
  });

  it("gives only words that are not zero, each once", () => {
    const chunk = new Chunk(new Uint32Array(1), 0);
    chunk.fill(5, 6);
    chunk.fill(CHUNK_PAGES - 40, CHUNK_PAGES);
    chunk.visit(5, 6, 0, ignore, true);
    const words: [number, number][] = [];
    chunk.visit(
      0,
      CHUNK_PAGES,
      1024,
      { word: (page, bits) => void words.push([page, bits]) },
      false,
    );
    expect(words).toEqual([
      [1024 + CHUNK_PAGES - 64, -1 << 24],
      [1024 + CHUNK_PAGES - 32, -1],
    ]);
  });

  it("is dense from an eighth of its words on, and no longer when they were read", () => {
    const chunk = new Chunk(new Uint32Array(1), 0);
    chunk.fill(0, CHUNK_PAGES / 8 - 32);
    expect(chunk.dense).toBe(false);
    chunk.fill(CHUNK_PAGES / 2, CHUNK_PAGES / 2 + 1);
    expect(chunk.dense).toBe(true);
    chunk.visit(0, 32, 0, ignore, true);
    expect(chunk.dense).toBe(false);
  });
});
