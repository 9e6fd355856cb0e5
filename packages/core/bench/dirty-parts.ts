/** What the benchmarks of dirty pages share: which pages are dirty, and what is made of the samples. */

export const PAGE = 4096;
export const GIB: number = 2 ** 30;

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export function spread(samples: readonly number[]): Spread {
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (part: number): number => sorted[Math.floor((sorted.length - 1) * part)] ?? 0;
  return { median: at(0.5), min: at(0), max: at(1) };
}

/** Numerical Recipes' LCG: the same numbers in each run. */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** The first page of each of the runs of `run` pages that make about `share` of `pages` dirty. */
export function* dirtyRuns(pages: number, share: number, run: number): Generator<number> {
  const random = createRandom(7);
  // Random pages hit each other; this many draws leave the wanted share.
  const draws = share === 0 ? 0 : Math.round((-Math.log(1 - share) * pages) / run);
  for (let n = 0; n < draws; n++) yield Math.floor((random() * pages) / run) * run;
}
