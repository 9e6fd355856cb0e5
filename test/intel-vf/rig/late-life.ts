import type { MigrationState } from "@vfmig/core";
import { VIRTCHNL_OP, buildPromiscuous } from "@vfmig/iavf";
import type { Family } from "./family.ts";
import { LIMIT_MS, SlowPf, stranded, untilNoneStranded, writtenMeanwhile } from "./late-pf.ts";
import { facets } from "./move.ts";
import { flow, pass, random, status, turn } from "./shadow.ts";
import { PAGE, RAM_IOVA, type World, type WorldOptions } from "./world.ts";

/** What happened in a life, so that a seed that does nothing shows. */
export interface Tally {
  late: number;
  refusedStops: number;
  stops: number;
  stranded: number;
  crossed: number;
  resets: number;
}

export function newTally(): Tally {
  return { late: 0, refusedStops: 0, stops: 0, stranded: 0, crossed: 0, resets: 0 };
}

/** Delays of a PF that is sometimes too late, in milliseconds: around its limit, and far beyond. */
export const PACES = {
  around: [0, 0, 0, 2, 10, LIMIT_MS - 0.5, LIMIT_MS + 0.5, LIMIT_MS + 4, 35, 50],
  beyond: [0, 0, 0, 2, 10, 120, 200, 400, 700, 900],
} as const;
export type Pace = keyof typeof PACES;
/** After this all is answered that was asked: the PF answers in order. */
const ANSWERED_MS = 1800;
const STEPS = ["stop", "stop", "pre-copy", "log", "log", "ask", "flow", "rest", "reset"] as const;

/** Some of the life of a guest whose PF is late now and then. Returns what is wrong at its end. */
export async function live(
  family: Family,
  pace: Pace,
  seed: number,
  tally: Tally,
): Promise<string[]> {
  const life = await Life.begin(family, pace, seed, tally);
  for (let step = 0; step < 10; step++) {
    // oxlint-disable-next-line no-await-in-loop -- one step after the other
    await life.step();
  }
  return await life.end();
}

class Life {
  readonly #world: World;
  readonly #pf: SlowPf;
  readonly #below: (n: number) => number;
  readonly #tally: Tally;
  readonly #wrongs: string[] = [];
  #logging = false;
  #log: Promise<unknown> = Promise.resolve();
  #resetting: Promise<unknown> = Promise.resolve();
  #asksReset = false;

  private constructor(world: World, pf: SlowPf, below: (n: number) => number, tally: Tally) {
    this.#world = world;
    this.#pf = pf;
    this.#below = below;
    this.#tally = tally;
  }

  static async begin(family: Family, pace: Pace, seed: number, tally: Tally): Promise<Life> {
    const below = random(seed * 7919);
    const pf = new SlowPf();
    const pairs = [1, 2, 4][below(3)] ?? 1;
    const world = await pf.create({
      family,
      models: [{ queuePairs: pairs, vectors: pairs + 1 }],
      driver: { queuePairs: pairs, ringSize: 64 },
      ...manner(below),
    });
    await flow(world, 64 + 8 * below(100));
    const delays = PACES[pace];
    pf.delay = () => delays[below(delays.length)] ?? 0;
    return new Life(world, pf, below, tally);
  }

  async step(): Promise<void> {
    const below = this.#below;
    const what = STEPS[below(STEPS.length)] ?? "flow";
    if (what === "stop" || what === "pre-copy") {
      await this.#stop(what);
    } else if (what === "log") {
      this.#toggleLog();
    } else if (what === "ask") {
      this.#ask();
    } else if (what === "reset" && below(3) === 0) {
      await this.#reset();
    } else if (what === "rest") {
      await pass(this.#world, below(80));
    }
    this.#look();
    await flow(this.#world, 8 * below(40));
    this.#look();
  }

  #look(): void {
    const { queues } = stranded(this.#world);
    this.#tally.stranded += queues.length > 0 ? 1 : 0;
    const leaves = status(this.#world).modes.some(({ tx, rx }) => tx === "held" || rx === "held");
    this.#tally.crossed += queues.length > 0 && leaves ? 1 : 0;
  }

  async #state(to: MigrationState): Promise<boolean> {
    const { migration } = facets(this.#world.host.device);
    try {
      const change = migration.setState(to);
      change.catch(() => {});
      await this.#within(
        change.catch(() => {}),
        `the way to ${to}`,
      );
      await change;
      return true;
    } catch {
      return false;
    }
  }

  /** A stop, of which nobody knows whether it comes off; once stopped the device has to be silent. */
  async #stop(way: "stop" | "pre-copy"): Promise<void> {
    const world = this.#world;
    const paused = this.#below(2) === 0;
    if (way === "pre-copy" && !(await this.#state("pre-copy"))) {
      return;
    }
    if (paused) {
      world.driver.pause();
    }
    const stopped = await this.#state(way === "stop" ? "stop" : "stop-copy");
    this.#tally[stopped ? "stops" : "refusedStops"]++;
    if (stopped) {
      const written = await writtenMeanwhile(world, this.#below(60));
      if (written.length > 0) {
        this.#wrongs.push(`stopped, the device wrote ${written.length} pages`);
      }
    }
    await this.#run();
  }

  /** Back to running, a few tries long; a guest whose device does not get there stands still meanwhile. */
  async #run(): Promise<void> {
    const { driver } = this.#world;
    driver.resume();
    for (let n = 0; n < 20; n++) {
      // oxlint-disable-next-line no-await-in-loop -- one try after the other
      if (await this.#state("running")) {
        return;
      }
    }
    driver.pause();
  }

  #toggleLog(): void {
    const { logging } = facets(this.#world.host.device);
    const size = BigInt(this.#world.host.ram.length);
    const range = { iova: RAM_IOVA, size };
    const before = this.#log;
    const toggle = async (): Promise<void> => {
      await before;
      this.#logging = !this.#logging;
      await (this.#logging ? logging.start({ pageSize: PAGE, ranges: [range] }) : logging.stop());
    };
    this.#log = toggle().catch(() => {});
  }

  /** A request of the guest's own, which the PF takes in its turn. */
  #ask(): void {
    const { driver } = this.#world;
    if (driver.state === "running") {
      driver
        .ask(VIRTCHNL_OP.CONFIG_PROMISCUOUS_MODE, (vsiId) => buildPromiscuous({ vsiId, flags: 0 }))
        .catch(() => {});
    }
  }

  async #reset(): Promise<void> {
    const world = this.#world;
    if (world.driver.state === "running" && !this.#asksReset) {
      this.#asksReset = true;
      this.#tally.resets++;
      this.#resetting = world.driver.resetFunction().catch(() => {});
      void this.#resetting.finally(() => {
        this.#asksReset = false;
      });
      await flow(world, 8 * this.#below(10));
    }
  }

  /** From here on the PF is prompt: all has to go on by itself. */
  async end(): Promise<string[]> {
    const world = this.#world;
    const { seen } = this.#pf;
    this.#tally.late += seen.filter(({ delayMs }) => delayMs > LIMIT_MS).length;
    this.#pf.delay = () => 0;
    // What it was asked before, it answers in its time.
    await pass(world, ANSWERED_MS);
    await this.#within(this.#log, "a log that starts or stops");
    await this.#run();
    await this.#within(this.#resetting, "a guest that resets its VF");
    await untilNoneStranded(world);
    for (let n = 0; n < 300 && !(world.driver.state === "running" && world.driver.linkUp); n++) {
      await pass(world, 100);
    }
    if (this.#logging) {
      await world.settle(facets(world.host.device).logging.stop());
    }
    await pass(world, 50);
    const strict = world.driver.counters.resets === 0;
    const before = this.#counts();
    for (let n = 0; n < 20; n++) {
      await flow(world, 32);
      await turn();
    }
    await pass(world, 300);
    world.quiesce();
    const after = this.#counts();
    const late = {
      in: after.taken - before.taken - (after.inward - before.inward),
      out: after.given - before.given - (after.outward - before.outward),
    };
    const wrongs = [
      ...this.#wrongs,
      ...nonsense(world),
      ...(strict ? world.wrongs() : disorders(world)),
      ...(strict || (late.in === 0 && late.out === 0) ? [] : [JSON.stringify(late)]),
      ...(after.taken - before.taken > 200 && after.given - before.given > 200
        ? []
        : [
            `no frames flow at the end: ${JSON.stringify({ before, after, state: facets(world.host.device).migration.state, driver: world.driver.state, link: world.driver.linkUp, faults: world.faults.map(String), status: status(world) })}`,
          ]),
    ];
    await world.close();
    return wrongs;
  }

  /** Frames until `promise` settles, which has to come to pass. */
  async #within(promise: Promise<unknown>, what: string): Promise<void> {
    const state = { over: false };
    void promise.finally(() => {
      state.over = true;
    });
    for (let n = 0; n < 20_000 && !state.over; n++) {
      // oxlint-disable-next-line no-await-in-loop -- traffic
      await (n < 500 ? flow(this.#world, 8) : pass(this.#world, 5));
    }
    if (!state.over) {
      throw new Error(`${what} has not come to its end`);
    }
  }

  #counts(): Record<"taken" | "given" | "inward" | "outward", number> {
    const world = this.#world;
    world.quiesce();
    const sum = (all: Iterable<number>): number => [...all].reduce((a, b) => a + b, 0);
    return {
      taken: sum(world.taken),
      given: sum(world.given),
      inward: sum(world.inward.snapshot().flows.map(({ delivered }) => delivered)),
      outward: sum(world.outward.snapshot().flows.map(({ delivered }) => delivered)),
    };
  }
}

function manner(below: (n: number) => number): Pick<WorldOptions, "options" | "mapping"> {
  const shadow = below(3) === 0 ? "always" : "while-saving";
  if (shadow === "always" || below(2) === 0) {
    return { options: { shadow, handBack: shadow !== "always" } };
  }
  return { mapping: "prompt", options: { shadow, handBack: true, doorbells: "direct" } };
}

/** What the device was given that no guest has posted. */
function nonsense(world: World): string[] {
  const { maliciousEvents, dmaFaults } = world.host.model.truth;
  return maliciousEvents + dmaFaults > 0 ? [JSON.stringify({ maliciousEvents, dmaFaults })] : [];
}

/** What must not happen even where a reset may lose frames. */
function disorders(world: World): string[] {
  return [world.inward, world.outward]
    .flatMap((ledger, way) =>
      ledger
        .snapshot()
        .flows.flatMap(({ flow: n, duplicated, reordered, corrupted }) =>
          duplicated + reordered + corrupted > 0
            ? [
                `${way === 0 ? "in" : "out"} flow ${n}: ${JSON.stringify({ duplicated, reordered, corrupted })}`,
              ]
            : [],
        ),
    )
    .concat(world.faults.map(({ message }) => `guest: ${message}`));
}
