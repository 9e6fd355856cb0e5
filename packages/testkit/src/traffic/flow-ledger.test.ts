import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { accountFlows, UNATTRIBUTED } from "./accounting.ts";
import { FlowLedger } from "./flow-ledger.ts";
import { SequenceRanges } from "./sequence-ranges.ts";
import { markFrame } from "./trailer.ts";

const frame = new Uint8Array(60);

function receive(ledger: FlowLedger, flow: number, sequences: readonly number[]): void {
  const marked = markFrame(frame, flow);
  for (const sequence of sequences) ledger.receive(marked.stamp(sequence));
}

describe("SequenceRanges", () => {
  it("is the same as a plain set, whatever the order", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 80 }), (values) => {
        const plain = new Set<number>();
        const ranges = new SequenceRanges();
        for (const value of values) {
          expect(ranges.add(value)).toBe(!plain.has(value));
          plain.add(value);
        }
        expect(ranges.size).toBe(plain.size);
        expect(ranges.end).toBe(plain.size === 0 ? 0 : Math.max(...plain) + 1);
        const missing = new Set(
          ranges.missing(41).flatMap(([a, b]) => Array.from({ length: b - a }, (_, i) => a + i)),
        );
        for (let value = 0; value <= 40; value++) {
          expect(ranges.has(value)).toBe(plain.has(value));
          expect(missing.has(value)).toBe(!plain.has(value));
        }
        expect(SequenceRanges.from(ranges.ranges()).ranges()).toEqual(ranges.ranges());
      }),
    );
  });

  it("refuses lists that are no sorted ranges", () => {
    for (const ranges of [
      [[2, 2]],
      [
        [0, 5],
        [3, 8],
      ],
      [[-1, 2]],
      [[0, 0.5]],
    ] as [number, number][][]) {
      expect(() => SequenceRanges.from(ranges)).toThrow(/sequence numbers/u);
    }
  });
});

describe("FlowLedger", () => {
  it("tells delivered, duplicated and reordered frames apart", () => {
    const ledger = new FlowLedger([0, 1]);
    receive(ledger, 0, [0, 1, 3, 2, 3, 5]);
    receive(ledger, 1, [0]);
    expect(ledger.snapshot().flows).toEqual([
      {
        flow: 0,
        delivered: 5,
        duplicated: 1,
        reordered: 1,
        corrupted: 0,
        ranges: [
          [0, 4],
          [5, 6],
        ],
      },
      { flow: 1, delivered: 1, duplicated: 0, reordered: 0, corrupted: 0, ranges: [[0, 1]] },
    ]);
  });

  it("never delivers a corrupted frame", () => {
    const ledger = new FlowLedger([0]);
    const marked = markFrame(frame, 0).stamp(0);
    marked[20] = 1;
    expect(ledger.receive(marked)).toBe("corrupted");
    expect(ledger.snapshot().flows[0]).toMatchObject({ delivered: 0, corrupted: 1 });
  });

  it("keeps nothing for flows that nobody sends", () => {
    const ledger = new FlowLedger([0]);
    receive(ledger, 9, [0, 1]);
    expect(ledger.snapshot()).toMatchObject({ corruptedElsewhere: 2, flows: [{ flow: 0 }] });
  });
});

describe("accountFlows", () => {
  it("balances sent = delivered + blackout + lost for any fate of each frame", () => {
    const fates = fc.array(fc.constantFrom("delivered", "blackout", "lost"), { maxLength: 60 });
    fc.assert(
      fc.property(fates, (list) => {
        const ledger = new FlowLedger([0]);
        const dropped = new SequenceRanges();
        for (const [sequence, fate] of list.entries()) {
          if (fate === "delivered") receive(ledger, 0, [sequence]);
          if (fate === "blackout") dropped.add(sequence);
        }
        const [report] = accountFlows({
          direction: "toGuest",
          names: ["f"],
          sent: [{ flow: 0, sent: list.length }],
          received: ledger.snapshot(),
          drops: [{ kind: "blackout", flow: 0, ranges: dropped.ranges() }],
        });
        expect(report).toMatchObject({
          sent: list.length,
          delivered: list.filter((fate) => fate === "delivered").length,
          duringBlackout: list.filter((fate) => fate === "blackout").length,
          lost: list.filter((fate) => fate === "lost").length,
        });
      }),
    );
  });

  it("counts a frame that was reported dropped and yet delivered as delivered", () => {
    const ledger = new FlowLedger([0]);
    receive(ledger, 0, [0]);
    const [report] = accountFlows({
      direction: "toGuest",
      names: ["f"],
      sent: [{ flow: 0, sent: 1 }],
      received: ledger.snapshot(),
      drops: [{ kind: "blackout", flow: 0, ranges: [[0, 1]] }],
    });
    expect(report).toMatchObject({ delivered: 1, duringBlackout: 0, lost: 0 });
  });

  it("shows frames that nobody sent as corrupted, apart from the flows", () => {
    const ledger = new FlowLedger([0]);
    receive(ledger, 0, [0, 7]);
    const reports = accountFlows({
      direction: "fromGuest",
      names: ["f"],
      sent: [{ flow: 0, sent: 1 }],
      received: ledger.snapshot(),
    });
    expect(reports).toHaveLength(2);
    expect(reports[1]).toMatchObject({ flow: UNATTRIBUTED, corrupted: 1 });
  });
});
