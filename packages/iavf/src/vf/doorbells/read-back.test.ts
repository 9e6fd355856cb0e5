import { describe, expect, test } from "vitest";
import { rxTail, txTail } from "../../registers.ts";
import { TailReadBack } from "./read-back.ts";

/** Registers that give back what was written, through `show`. */
function device(show: (value: number, offset: number) => number = (value) => value) {
  const values = new Map<number, number>();
  const told = { proven: 0, reads: 0 };
  const registers = {
    read: (offset: number) => {
      told.reads++;
      return show(values.get(offset) ?? 0, offset);
    },
    write: (offset: number, value: number) => void values.set(offset, value),
  };
  const readBack = new TailReadBack(registers, () => void told.proven++);
  const tx = (queue: number, tail: number): void => {
    registers.write(txTail(queue), tail);
    readBack.wroteTx(queue, tail);
  };
  const rx = (queue: number, tail: number): void => {
    registers.write(rxTail(queue), tail);
    readBack.wroteRx(queue, tail);
  };
  return { readBack, tx, rx, told, registers };
}

describe("tails that read back", () => {
  test("are believed after eight of each kind, and not looked at any more", () => {
    const { readBack, tx, rx, told } = device();
    for (let n = 1; n <= 8; n++) {
      expect(readBack.proven).toBe(false);
      tx(n % 3, n);
      rx(n % 2, 16 * n);
    }
    expect([readBack.proven, told.proven, told.reads]).toEqual([true, 1, 16]);
    tx(0, 100);
    rx(0, 100);
    expect(told.reads).toBe(16);
  });

  test("of Rx may lack their low three bits", () => {
    const { readBack, tx, rx } = device((value) => value & ~7);
    for (let n = 1; n <= 8; n++) {
      rx(0, 13 * n);
    }
    expect(readBack.mismatch).toBeUndefined();
    tx(0, 8);
    expect(readBack.mismatch).toBeUndefined();
    tx(3, 9);
    expect(readBack.mismatch).toBe("the Tx tail of queue 3 read back as 0x8 after 9 was written");
  });

  test.each([
    ["always 0", () => 0],
    ["always the same", () => 77],
    ["all ones, as of a device that is gone", () => 0xffff_ffff],
    ["the one before", (value: number) => value - 1],
  ])("are never believed where they are %s", (_, show) => {
    const { readBack, tx, rx } = device(show);
    for (let n = 0; n < 50; n++) {
      tx(0, n);
      rx(0, 16 * n);
    }
    expect(readBack.proven).toBe(false);
    expect(readBack.mismatch).toMatch(/read back as/u);
    expect([readBack.checkTx(1, 0), readBack.checkRx(1, 0)]).toEqual([false, false]);
  });

  test.each([
    ["Tx", txTail(0)],
    ["Rx", rxTail(0)],
  ])("of one kind do not vouch for the other: not for %s", (ring, first) => {
    const broken = (offset: number): boolean => offset >= first && offset < first + 64;
    const { readBack, tx, rx } = device((value, offset) => (broken(offset) ? 0 : value));
    for (let n = 1; n < 50; n++) {
      tx(0, n);
      rx(0, 16 * n);
    }
    expect(readBack.proven).toBe(false);
    expect(readBack.mismatch).toMatch(`the ${ring} tail of queue 0 read back as 0x0`);
  });

  test("show nothing by values that a device that gives nothing back has too, or by repetition", () => {
    const { readBack, tx, rx } = device();
    for (let n = 0; n < 20; n++) {
      tx(0, 0);
      rx(0, n % 8);
      tx(1, 5);
      rx(1, 500);
    }
    expect(readBack.progress).toBe("1 of 8 Tx tails and 1 of 8 Rx tails have read back so far");
  });

  test("have to be shown anew after a reset of the VF, which may be what was read", () => {
    const { readBack, tx, rx, registers } = device();
    registers.write(txTail(2), 0);
    readBack.wroteTx(2, 9);
    expect(readBack.mismatch).toMatch(/Tx tail of queue 2 read back as 0x0 after 9/u);
    readBack.reset();
    for (let n = 1; n <= 8; n++) {
      tx(0, n);
      rx(0, 8 * n);
    }
    expect(readBack.proven).toBe(true);
    readBack.reset();
    expect(readBack.proven).toBe(false);
  });
});
