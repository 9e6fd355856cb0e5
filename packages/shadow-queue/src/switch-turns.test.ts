import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SwitchTurns } from "./switch-turns.ts";

interface Step {
  readonly promise: Promise<void>;
  readonly done: () => void;
  readonly fail: (error: Error) => void;
}

function step(): Step {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  return { promise, done: resolve, fail: reject };
}

/** Lets everything settle that waits for nothing but promises. */
function settled(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

describe("the turns of switches", () => {
  test("begin at once while none is taken, and give what the switch gives", async () => {
    const turns = new SwitchTurns();
    expect(turns.taken).toBe(false);
    const { promise, done } = step();
    const begun: boolean[] = [];
    const taken = turns.take(async () => {
      begun.push(turns.taken);
      await promise;
      return "done";
    });
    expect([begun, turns.taken]).toEqual([[true], true]);
    done();
    expect(await taken).toBe("done");
    expect(turns.taken).toBe(false);
  });

  test("are over before whoever took one goes on", async () => {
    const turns = new SwitchTurns();
    await turns.take(settled);
    expect(turns.taken).toBe(false);
    await turns.take(() => Promise.resolve());
    expect(turns.taken).toBe(false);
  });

  test("keep a switch waiting until the one before it is over, however that ends", async () => {
    const turns = new SwitchTurns();
    const [first, second] = [step(), step()];
    const begun: number[] = [];
    const run = (n: number, { promise }: Step): Promise<void> =>
      turns.take(() => {
        begun.push(n);
        return promise;
      });
    const one = run(1, first);
    const two = run(2, second);
    await settled();
    expect(begun).toEqual([1]);
    first.fail(new Error("the PF refused"));
    await expect(one).rejects.toThrow("the PF refused");
    await settled();
    expect([begun, turns.taken]).toEqual([[1, 2], true]);
    second.done();
    await two;
    expect(turns.taken).toBe(false);
  });

  test("are not lost to a switch that throws instead of beginning", async () => {
    const turns = new SwitchTurns();
    const broken = (): Promise<void> => {
      throw new Error("no queue");
    };
    await expect(turns.take(broken)).rejects.toThrow("no queue");
    const { promise, done } = step();
    const first = turns.take(() => promise);
    const second = turns.take(broken);
    const third = turns.take(() => Promise.resolve(3));
    done();
    await first;
    await expect(second).rejects.toThrow("no queue");
    expect(await third).toBe(3);
    expect(turns.taken).toBe(false);
  });

  test("come in the order in which they were asked for, never two at a time", async () => {
    const plan = fc.array(fc.record({ turns: fc.nat(3), fails: fc.boolean() }), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(plan, async (switches) => {
        const turns = new SwitchTurns();
        const order: number[] = [];
        let running = 0;
        const ends = switches.map(({ turns: length, fails }, n) =>
          turns.take(async () => {
            expect(++running).toBe(1);
            order.push(n);
            for (let left = length; left > 0; left--) {
              // oxlint-disable-next-line no-await-in-loop -- a switch of some length
              await Promise.resolve();
            }
            running--;
            if (fails) throw new Error("in vain");
          }),
        );
        const outcomes = await Promise.allSettled(ends);
        expect(outcomes.map(({ status }) => status === "rejected")).toEqual(
          switches.map(({ fails }) => fails),
        );
        expect([order, turns.taken]).toEqual([switches.map((_, n) => n), false]);
      }),
    );
  });
});
