import {
  type DirtySink,
  type StateRecord,
  type SubDriver,
  type SubDriverDefinition,
} from "@vfmig/core";
import { vsiIdOffsets } from "@vfmig/iavf";
import { describe, expect, test } from "vitest";
import type { VfOptions } from "@vfmig/iavf/vf";
import { move } from "./rig/move.ts";
import { FAMILIES } from "./rig/family.ts";
import { meddling } from "./rig/shadow.ts";
import { PAGE, RAM_IOVA, World, type WorldOptions } from "./rig/world.ts";

describe.each(FAMILIES)("$name", (family) => {
  const create = (options: WorldOptions = {}): Promise<World> =>
    World.create({ family, ...options });

  /*
   * Plugins that are wrong in one thing, made by wrapping the facets of the real one. Each must break
   * the guest where everyone can see it, or the tests that pass would prove nothing.
   */

  type Definition = SubDriverDefinition<VfOptions>;

  function variant(wrap: (subDriver: SubDriver) => SubDriver): Definition {
    return {
      ...family.plugin,
      attach: async (context) => wrap(await family.plugin.attach(context)),
    };
  }

  function given<T>(value: T | undefined): T {
    if (value === undefined) {
      throw new Error("the real plugin has it");
    }
    return value;
  }

  /** The same sub-driver with some members replaced. */
  function override(subDriver: SubDriver, members: Partial<SubDriver>): SubDriver {
    return Object.assign(Object.create(subDriver) as SubDriver, {
      status: () => subDriver.status?.() ?? {},
      describe: () => given(subDriver.describe?.()),
      close: () => subDriver.close(),
      ...members,
    });
  }

  /** Forgets one page, the first of those that it is told to. */
  function forgetful(page: { number: number | undefined }): Definition {
    return variant((subDriver) => {
      const honest = given(subDriver.dirtyTracking);
      return override(subDriver, {
        dirtyTracking: {
          start: (ranges, pageSize) => honest.start(ranges, pageSize),
          stop: () => honest.stop(),
          readAndClear: (range, sink) => honest.readAndClear(range, without(sink, page)),
        },
      });
    });
  }

  function without(sink: DirtySink, page: { readonly number: number | undefined }): DirtySink {
    return {
      set(iova, length) {
        for (let at = iova; at < iova + length; at += PAGE) {
          if ((at - Number(RAM_IOVA)) / PAGE !== page.number) {
            sink.set(at, PAGE);
          }
        }
      },
    };
  }

  /** Lets the device begin at slot 0 of the guest's rings, as without shadow queues. */
  const fromZero: Definition = variant((subDriver) => {
    const honest = given(subDriver.migration);
    return override(subDriver, {
      migration: {
        ...honest,
        load() {
          const loader = honest.load();
          return {
            record: (record) => loader.record(atZero(record)),
            commit: (signal) => loader.commit(signal),
            abort: () => loader.abort(),
          };
        },
      },
    });
  });

  function atZero(record: StateRecord): StateRecord {
    if (record.type !== "queues") {
      return record;
    }
    const value = record.value as { positions: { tx: { tail: number }; rx: { tail: number } }[] };
    const positions = value.positions.map((position) => ({
      ...position,
      tx: { complete: 0, tail: position.tx.tail },
      rx: { complete: 0, tail: position.rx.tail },
    }));
    return { type: record.type, value: { ...value, positions } };
  }

  /** Keeps the VSI id of the source in what the guest asks after the move. */
  function keepsVsi(source: number): Definition {
    let runs = false;
    const keeping = meddling(family.plugin, (opcode, body) => {
      if (!runs) return;
      for (const offset of vsiIdOffsets(opcode, body)) {
        new DataView(body.buffer, body.byteOffset).setUint16(offset, source, true);
      }
    });
    return {
      ...keeping,
      async attach(context) {
        const subDriver = await keeping.attach(context);
        const honest = given(subDriver.migration);
        const arcs = {
          ...honest.arcs,
          "running-p2p->running": async (signal: AbortSignal) => {
            await given(honest.arcs["running-p2p->running"])(signal);
            runs = true;
          },
        };
        return override(subDriver, { migration: { ...honest, arcs } });
      },
    };
  }

  async function wrongsAfterMove(
    plugin: Definition,
    onStopped?: (changed: readonly number[]) => void,
  ): Promise<readonly string[]> {
    const world = await create({ plugin });
    world.traffic(333);
    await move(world, 1, { blackout: 4, ...(onStopped && { onStopped }) });
    world.traffic(700);
    // Long enough for a driver to notice that something stands still.
    world.clock.advance(12_000);
    world.quiesce();
    return world.wrongs();
  }

  describe("a plugin that is wrong in one thing", () => {
    test("is not what breaks: the same wrapping around an honest one moves well", async () => {
      expect(await wrongsAfterMove(variant((subDriver) => override(subDriver, {})))).toEqual([]);
      expect(await wrongsAfterMove(forgetful({ number: undefined }))).toEqual([]);
    });

    test("breaks the guest if it forgets one dirty page, whichever the device wrote last", async () => {
      let candidates: readonly number[] = [];
      await wrongsAfterMove(family.plugin, (changed) => {
        candidates = changed;
      });
      expect(candidates.length).toBeGreaterThan(2);
      for (const number of candidates) {
        // oxlint-disable-next-line no-await-in-loop -- one world at a time
        const wrongs = await wrongsAfterMove(forgetful({ number }));
        expect({ number, broken: wrongs.length > 0 }).toEqual({ number, broken: true });
      }
    });

    test("breaks the guest if the device begins at slot 0 of the guest's rings", async () => {
      expect(await wrongsAfterMove(fromZero)).not.toEqual([]);
    });

    const [source, target] = family.vsiIds;
    test.skipIf(source === target)("breaks the guest if it keeps the source's VSI id", async () => {
      const wrongs = await wrongsAfterMove(keepsVsi(source));
      expect(wrongs.join("\n")).toMatch(/refused/u);
    });
  });
});
