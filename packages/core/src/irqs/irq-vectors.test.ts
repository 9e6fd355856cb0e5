import { describe, expect, it } from "vitest";
import type { IrqEvent, IrqRequest } from "../device/irqs.ts";
import { FakeBase } from "../testing/fake-base.ts";
import { checkIrqRequest } from "./check-irq-request.ts";
import { createIrqVectors, type IrqVectors } from "./irq-vectors.ts";

const { info } = new FakeBase();
const [INTX, MSI, MSIX] = [0, 1, 2];

const vectors = (): IrqVectors => createIrqVectors(info.irqs, { pci: true });

function counter(): IrqEvent & { count: number } {
  return {
    count: 0,
    signal() {
      this.count += 1;
    },
  };
}

const enable = (
  index: number,
  events: readonly (IrqEvent | undefined)[],
  start = 0,
): IrqRequest => ({
  index,
  start,
  count: events.length,
  action: "trigger",
  data: { kind: "event", events },
});

const plain = (
  action: IrqRequest["action"],
  index: number,
  start: number,
  count: number,
): IrqRequest => ({ index, start, count, action, data: { kind: "none" } });

const refusal = (errno: string): unknown =>
  expect.objectContaining({
    code: "ERR_VFMIG_IRQ_REQUEST",
    details: expect.objectContaining({ errno }),
  });

describe("a request to set interrupts", () => {
  const event = counter();
  it.each([
    ["an index beyond the last", plain("trigger", 5, 0, 0)],
    ["a negative index", plain("trigger", -1, 0, 0)],
    ["a fractional index", plain("trigger", 1.5, 0, 0)],
    ["a start beyond the vectors", plain("trigger", MSIX, 4, 0)],
    ["a count beyond the vectors", plain("trigger", MSIX, 0, 5)],
    ["a range beyond the vectors", plain("trigger", MSIX, 3, 2)],
    ["a range that wraps", plain("trigger", MSIX, 1, 0xffff_ffff)],
    ["a negative start", plain("trigger", MSIX, -1, 1)],
    ["a count that is no number", plain("trigger", MSIX, 0, Number.NaN)],
    ["fewer events than vectors", { ...enable(MSIX, [event]), count: 2 }],
    ["more events than vectors", { ...enable(MSIX, [event, event]), count: 1 }],
    [
      "fewer flags than vectors",
      { ...plain("trigger", MSIX, 0, 2), data: { kind: "bool", values: new Uint8Array(1) } },
    ],
    ["an empty mask", plain("mask", INTX, 0, 0)],
    ["an empty list of events", enable(MSIX, [])],
  ] as readonly (readonly [string, IrqRequest])[])("is refused with %s", (_, request) => {
    expect(() => checkIrqRequest(info.irqs, request)).toThrow(refusal("EINVAL"));
  });

  it.each([
    ["masks MSI-X", plain("mask", MSIX, 0, 1)],
    ["unmasks MSI", plain("unmask", MSI, 0, 1)],
    ["masks INTx by an event", { ...enable(INTX, [event]), action: "mask" }],
  ] as readonly (readonly [string, IrqRequest])[])(
    "is refused as not offered if it %s",
    (_, request) => {
      expect(() => checkIrqRequest(info.irqs, request)).toThrow(refusal("ENOTTY"));
    },
  );

  it("is refused with an action or data of no known kind", () => {
    // @ts-expect-error what a peer sends need not be an action
    expect(() => checkIrqRequest(info.irqs, plain("explode", MSIX, 0, 1))).toThrow(
      refusal("EINVAL"),
    );
    const odd = { ...plain("trigger", MSIX, 0, 1), data: { kind: "both" } };
    // @ts-expect-error what a peer sends need not be data
    expect(() => checkIrqRequest(info.irqs, odd)).toThrow(refusal("EINVAL"));
  });

  it("passes at both ends of an index", () => {
    checkIrqRequest(info.irqs, enable(MSIX, [event, event, event, event]));
    checkIrqRequest(info.irqs, enable(MSIX, [undefined], 3));
    checkIrqRequest(info.irqs, plain("trigger", MSIX, 0, 0));
    checkIrqRequest(info.irqs, plain("unmask", INTX, 0, 1));
  });
});

describe("a user's vectors", () => {
  it("reach the event that was set last", () => {
    const table = vectors();
    const [first, second] = [counter(), counter()];
    table.apply(enable(MSIX, [first, undefined]));
    expect(table.signal(MSIX, 0)).toBe(true);
    expect(table.signal(MSIX, 1)).toBe(false);
    table.apply(enable(MSIX, [second]));
    expect(table.signal(MSIX, 0)).toBe(true);
    expect([first.count, second.count]).toEqual([1, 1]);
  });

  it("lose one target without the others", () => {
    const table = vectors();
    const event = counter();
    table.apply(enable(MSIX, [event, event]));
    table.apply(enable(MSIX, [undefined], 1));
    expect([table.signal(MSIX, 0), table.signal(MSIX, 1)]).toEqual([true, false]);
    expect(table.enabled(MSIX)).toBe(2);
  });

  it("are gone after the index is disabled", () => {
    const table = vectors();
    table.apply(enable(MSIX, [counter()]));
    table.apply(plain("trigger", MSIX, 0, 0));
    expect(table.enabled(MSIX)).toBe(0);
    expect(table.signal(MSIX, 0)).toBe(false);
  });

  it("can be fired by the user, but only while they are enabled", () => {
    const table = vectors();
    const event = counter();
    expect(() => table.apply(plain("trigger", MSIX, 0, 1))).toThrow(refusal("EINVAL"));
    table.apply(enable(MSIX, [event, event]));
    table.apply(plain("trigger", MSIX, 0, 2));
    const values = Uint8Array.of(0, 1);
    table.apply({ ...plain("trigger", MSIX, 0, 2), data: { kind: "bool", values } });
    expect(event.count).toBe(3);
    expect(() => table.apply(plain("trigger", MSIX, 1, 2))).toThrow(refusal("EINVAL"));
  });

  it("are of one kind at a time: INTx, MSI or MSI-X", () => {
    const table = vectors();
    table.apply(enable(MSIX, [counter()]));
    expect(() => table.apply(enable(MSI, [counter()]))).toThrow(refusal("EINVAL"));
    expect(() => table.apply(enable(INTX, [counter()]))).toThrow(refusal("EINVAL"));
    table.apply(enable(3, [counter()]));
    table.apply(plain("trigger", MSIX, 0, 0));
    table.apply(enable(MSI, [counter()]));
  });

  it("grow only where the index can be resized", () => {
    const table = vectors();
    table.apply(enable(MSIX, [counter()]));
    table.apply(enable(MSIX, [counter()], 3));
    expect(table.enabled(MSIX)).toBe(4);
    table.apply(plain("trigger", MSIX, 0, 0));
    table.apply(enable(MSI, [counter()]));
    expect(() => table.apply(enable(MSI, [counter()], 1))).toThrow(refusal("EINVAL"));
    table.apply(plain("trigger", MSI, 0, 0));
    table.apply(enable(MSI, [counter(), counter()]));
  });

  it("stay as they were when a request is refused", () => {
    const table = vectors();
    const event = counter();
    table.apply(enable(MSIX, [event]));
    expect(() => table.apply(enable(MSI, [counter()]))).toThrow("disable it first");
    expect(table.event(MSIX, 0)).toBe(event);
  });

  it("of INTx are masked by each interrupt and keep one pending", () => {
    const table = vectors();
    const event = counter();
    table.apply(enable(INTX, [event]));
    for (let i = 0; i < 3; i++) table.signal(INTX, 0);
    expect(event.count).toBe(1);
    table.apply(plain("unmask", INTX, 0, 1));
    expect(event.count).toBe(2);
    table.apply(plain("unmask", INTX, 0, 1));
    expect(event.count).toBe(2);
    table.apply(plain("mask", INTX, 0, 1));
    table.signal(INTX, 0);
    expect(event.count).toBe(2);
  });
});
