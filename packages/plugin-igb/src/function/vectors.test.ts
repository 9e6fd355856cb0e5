import { describe, expect, it } from "vitest";
import { REGISTER } from "../registers/registers.ts";
import { FakeRegisters, FakeVectors } from "../testing/fake-context.ts";
import { Vectors } from "./vectors.ts";

const { EICS, EIMS, EIMC, EIAC, EIAM, EICR, IVAR0, IVAR_MISC, EITR } = REGISTER;

function vectors() {
  const fake = new FakeVectors();
  const registers = new FakeRegisters();
  const unit = new Vectors(fake.context, registers, () => {});
  const write = (offset: number, value: number): void => void unit.write(offset, value);
  // As igbvf: receive on vector 1, transmit on 0, the mailbox on 2.
  write(IVAR0, 0x8081);
  write(IVAR_MISC, 0x82);
  return { fake, registers, unit, write };
}

describe("the guest's interrupts", () => {
  it("come on the vector that the guest mapped, once for each cause that is cleared by delivery", () => {
    const { fake, unit, write } = vectors();
    write(EIAC, 7);
    write(EIMS, 7);
    unit.raiseRx();
    unit.raiseRx();
    unit.raiseTx();
    unit.raiseMailbox();
    expect(fake.signals).toEqual([1, 2, 1]);
  });

  it("do not come again before the guest clears a cause that does not clear itself", () => {
    const { fake, unit, write } = vectors();
    write(EIMS, 7);
    unit.raiseRx();
    unit.raiseRx();
    expect(fake.signals[1]).toBe(1);
    write(EICR, 2);
    unit.raiseRx();
    expect(fake.signals[1]).toBe(2);
  });

  it("wait behind the mask, and come when it opens", () => {
    const { fake, unit, write } = vectors();
    write(EIAC, 7);
    unit.raiseRx();
    expect(fake.signals[1]).toBe(0);
    write(EIMS, 2);
    expect(fake.signals[1]).toBe(1);
    write(EIMC, 2);
    unit.raiseRx();
    expect(fake.signals[1]).toBe(1);
    expect(unit.read(EIMS)).toBe(0);
  });

  it("mask themselves where the guest wants it, so that a poll is not disturbed", () => {
    const { fake, unit, write } = vectors();
    write(EIAC, 7);
    write(EIAM, 7);
    write(EIMS, 7);
    unit.raiseRx();
    unit.raiseRx();
    expect(fake.signals[1]).toBe(1);
    write(EIMS, 2);
    expect(fake.signals[1]).toBe(2);
  });

  it("read back as the guest set them up, as far as a VF has them", () => {
    const { unit, write } = vectors();
    for (const offset of [EIMS, EIAC, EIAM, IVAR0, IVAR_MISC]) write(offset, 0xffff_ffff);
    write(EITR, 0x1234);
    const found = [EICS, EIMC, EIMS, EIAC, EIAM, IVAR0, IVAR_MISC].map((at) => unit.read(at));
    expect(found).toEqual([0, 0, 7, 7, 7, 0x8383, 0x83]);
  });

  it("are not lost while the guest has no event, nor while the function stands still", () => {
    const { fake, unit, write } = vectors();
    write(EIAC, 7);
    write(EIMS, 7);
    fake.listens = false;
    unit.raiseRx();
    fake.listens = true;
    unit.freeze();
    unit.raiseTx();
    expect(fake.signals).toEqual([0, 0, 0]);
    unit.thaw();
    expect(fake.signals).toEqual([1, 1, 0]);
  });

  it("go nowhere for what the guest has not mapped", () => {
    const { fake, unit, write } = vectors();
    write(EIMS, 7);
    write(IVAR0, 0);
    unit.raiseRx();
    unit.raiseTx();
    expect(fake.signals).toEqual([0, 0, 0]);
  });

  it("can be raised by the guest itself, and looked at", () => {
    const { fake, unit, write } = vectors();
    write(EICS, 4);
    expect(unit.read(EICR)).toBe(4);
    expect(unit.read(EICR)).toBe(0);
    write(EIMS, 7);
    expect(fake.signals).toEqual([0, 0, 0]);
  });

  it("are the same on another host", () => {
    const first = vectors();
    first.write(EIAC, 7);
    first.write(EITR + 4, 0x7ffe);
    first.unit.raiseRx();
    const second = vectors();
    second.unit.load(first.unit.save());
    expect(second.unit.save()).toEqual(first.unit.save());
    second.write(EIMS, 2);
    expect(second.fake.signals[1]).toBe(1);
  });

  it("leave the device's own mapping alone, and throttle it by purpose", () => {
    const { registers, unit, write } = vectors();
    // The guest swaps the two.
    write(IVAR0, 0x8180);
    write(EITR, 0x100);
    write(EITR + 4, 0x200);
    unit.program();
    expect(registers.values.get(IVAR0)).toBe(0x8081);
    expect(registers.values.get(EITR)).toBe(0x200);
    expect(registers.values.get(EITR + 4)).toBe(0x100);
  });
});

describe("the interrupts of a guest that may have its device to itself", () => {
  function shared() {
    const fake = new FakeVectors();
    const registers = new FakeRegisters();
    const unit = new Vectors(fake.context, registers, () => {}, true);
    // Not as igbvf: receive on vector 0, transmit on 1.
    for (const [offset, value] of [
      [IVAR0, 0x8180],
      [IVAR_MISC, 0x82],
      [EIAC, 7],
      [EIAM, 3],
      [EITR, 0x100],
      [EITR + 4, 0x200],
    ] as const) {
      registers.values.set(offset, value);
    }
    return { fake, registers, unit };
  }

  it("are read from the device when they are taken, all of them counted as unmasked", () => {
    const { unit } = shared();
    expect(unit.taken).toBe(false);
    unit.note(EIMS, 1);
    unit.take(false);
    expect([unit.taken, unit.save()]).toEqual([
      true,
      {
        ivar0: 0x8180,
        ivarMisc: 0x82,
        mask: 7,
        autoClear: 7,
        autoMask: 3,
        causes: 0,
        intervals: [0x100, 0x200, 0],
      },
    ]);
  });

  it("have the mask that was seen, where every write of it was", () => {
    const { unit } = shared();
    unit.note(EIMS, 7);
    unit.note(EIMC, 4);
    unit.take(true);
    expect(unit.save().mask).toBe(3);
  });

  it("stay mapped in the device as the guest has them, since QEMU's igb merges mappings", () => {
    const { unit, registers } = shared();
    unit.take(false);
    registers.writes.length = 0;
    unit.program();
    expect(registers.writes.filter(([offset]) => offset === IVAR0)).toEqual([[IVAR0, 0x8180]]);
    expect(registers.values.get(EITR)).toBe(0x100);
    unit.write(IVAR0, 0x8100);
    // Receive is mapped to no vector any more: the relay's is ours then.
    expect(registers.values.get(IVAR0)).toBe(0x8181);
  });

  it("are given back as the guest left them, with the causes that wait behind its mask", () => {
    const { unit, registers, fake } = shared();
    unit.take(false);
    unit.program();
    unit.write(EIMC, 1);
    unit.write(EITR + 4, 0x300);
    unit.raiseRx();
    unit.giveBack();
    expect(unit.taken).toBe(false);
    expect(fake.released).toBe(3);
    const { values } = registers;
    expect([IVAR0, EIAM, EIAC, EITR + 4, EIMS, EICS].map((offset) => values.get(offset))).toEqual([
      0x8180, 3, 7, 0x300, 6, 1,
    ]);
  });

  it("of the mailbox are raised by the device while the guest has it to itself", () => {
    const { unit, registers, fake } = shared();
    unit.raiseMailbox();
    expect([registers.values.get(EICS), fake.signals]).toEqual([4, [0, 0, 0]]);
  });
});
