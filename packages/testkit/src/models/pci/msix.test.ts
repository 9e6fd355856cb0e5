import { PCI_IRQ, createIrqVectors, type IrqInfo, type IrqVectors } from "@vfmig/core";
import { describe, expect, test } from "vitest";
import { Msix } from "./msix.ts";

const VECTORS = 9;

const irqInfo: IrqInfo[] = Array.from({ length: 5 }, (_, index) => ({
  index,
  count: index === PCI_IRQ.MSIX ? VECTORS : 0,
  eventfd: index === PCI_IRQ.MSIX,
  maskable: false,
  automasked: false,
  noResize: false,
}));

interface Rig {
  readonly msix: Msix;
  readonly irqs: IrqVectors;
  readonly signals: number[];
}

function rig(withEvents = true): Rig {
  const irqs = createIrqVectors(irqInfo, { pci: true, layer: "base" });
  const signals: number[] = [];
  if (withEvents) {
    const events = Array.from({ length: VECTORS }, (_, vector) => ({
      signal: () => void signals.push(vector),
    }));
    irqs.apply({
      index: PCI_IRQ.MSIX,
      start: 0,
      count: VECTORS,
      action: "trigger",
      data: { kind: "event", events },
    });
  }
  return { msix: new Msix(VECTORS, irqs), irqs, signals };
}

function pending({ msix }: Rig): number {
  const bytes = new Uint8Array(8);
  msix.readPending(0, bytes);
  return new DataView(bytes.buffer).getUint16(0, true);
}

const control = (vector: number): number => 16 * vector + 12;

describe("MSI-X of a model", () => {
  test("delivers vectors whose table the VMM keeps itself, though the reset state says masked", () => {
    const it = rig();
    it.msix.raise(3);
    expect(it.signals).toEqual([3]);
    expect(pending(it)).toBe(0);
  });

  test("holds a vector that the user masked in the table, shows it pending, and delivers it once unmasked", () => {
    const it = rig();
    it.msix.writeTable(control(2), Uint8Array.of(1));
    it.msix.raise(2);
    it.msix.raise(2);
    it.msix.raise(8);
    expect([it.signals, pending(it)]).toEqual([[8], 0b100]);
    it.msix.writeTable(control(2), Uint8Array.of(0, 0, 0, 0));
    expect([it.signals, pending(it)]).toEqual([[8, 2], 0]);
  });

  test("a write of a whole entry masks or unmasks as its control says", () => {
    const it = rig();
    const entry = new Uint8Array(16).fill(0xff);
    it.msix.writeTable(16 * 4, entry);
    it.msix.raise(4);
    expect(pending(it)).toBe(0b1_0000);
    entry[12] = 0xfe;
    it.msix.writeTable(16 * 4, entry);
    expect(it.signals).toEqual([4]);
  });

  test("writes to the message leave the mask alone", () => {
    const it = rig();
    it.msix.writeTable(control(1), Uint8Array.of(1));
    it.msix.writeTable(16, new Uint8Array(12).fill(7));
    it.msix.raise(1);
    expect([it.signals, pending(it)]).toEqual([[], 0b10]);
  });

  test("the function mask holds all of them", () => {
    const it = rig();
    it.msix.functionMasked = true;
    for (const vector of [0, 5, 8]) it.msix.raise(vector);
    expect([it.signals, pending(it)]).toEqual([[], 0b1_0010_0001]);
    it.msix.functionMasked = false;
    expect([it.signals, pending(it)]).toEqual([[0, 5, 8], 0]);
  });

  test("a masked vector that lacks an event waits for both", () => {
    const it = rig(false);
    it.msix.writeTable(control(0), Uint8Array.of(1));
    it.msix.raise(0);
    it.msix.writeTable(control(0), Uint8Array.of(0));
    expect(pending(it)).toBe(1);
  });

  test("a reset masks the table, but holds nothing back that was not written since", () => {
    const it = rig();
    it.msix.writeTable(control(6), Uint8Array.of(1));
    it.msix.functionMasked = true;
    it.msix.raise(6);
    it.msix.reset();
    expect(pending(it)).toBe(0);
    const entry = new Uint8Array(16);
    it.msix.readTable(16 * 6, entry);
    expect(entry[12]).toBe(1);
    it.msix.raise(6);
    expect(it.signals).toEqual([6]);
  });
});
