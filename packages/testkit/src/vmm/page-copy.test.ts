import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { addPages, copyPages, copyWhileRunning, countPages } from "./page-copy.ts";

const PAGE = 4096;

describe("copying pages", () => {
  it("copies exactly the pages whose bits are set", () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(31)), (pages) => {
        const from = new Uint8Array(32 * PAGE).fill(7);
        const to = new Uint8Array(32 * PAGE);
        const bitmap = new Uint8Array(4);
        addPages(bitmap, pages);
        expect(countPages(bitmap)).toBe(pages.length);
        expect(copyPages(bitmap, from, to)).toBe(pages.length);
        for (let page = 0; page < 32; page += 1) {
          const part = to.subarray(page * PAGE, (page + 1) * PAGE);
          expect(part.every((byte) => byte === (pages.includes(page) ? 7 : 0))).toBe(true);
        }
      }),
    );
  });

  it("copies all of memory in turns", async () => {
    const from = new Uint8Array(3 * 2 ** 20 + PAGE).fill(9);
    const to = new Uint8Array(from.length);
    let turns = 0;
    await copyWhileRunning(from, to, () => {
      turns += 1;
      return Promise.resolve();
    });
    expect(turns).toBe(4);
    expect(to).toEqual(from);
  });
});
