import { describe, expect, test } from "vitest";
import { DYN_CTL, ICR0, MailboxVector, VF_REGISTER, VirtualVector } from "../index.ts";

function counted(listens = true): {
  vector: VirtualVector;
  signals: () => number;
  open: () => void;
} {
  let count = 0;
  let open = listens;
  const vector = new VirtualVector(() => {
    count += open ? 1 : 0;
    return open;
  });
  return {
    vector,
    signals: () => count,
    open: () => {
      open = true;
    },
  };
}

describe("a vector as the guest sees it", () => {
  test("masks itself when it fires, and keeps what comes meanwhile", () => {
    const { vector, signals } = counted();
    vector.writeControl(DYN_CTL.REARM);
    vector.raise();
    vector.raise();
    expect(signals()).toBe(1);
    expect(vector.readControl() & DYN_CTL.INTENA).toBe(0);
    vector.writeControl(DYN_CTL.REARM);
    expect(signals()).toBe(2);
    vector.writeControl(DYN_CTL.REARM);
    expect(signals()).toBe(2);
  });

  test("is left as it is by a write with INTENA_MSK", () => {
    const { vector, signals } = counted();
    vector.writeControl((DYN_CTL.INTENA | DYN_CTL.INTENA_MSK) >>> 0);
    vector.raise();
    expect(signals()).toBe(0);
  });

  test("delivers after a stop what was raised in it", () => {
    const { vector, signals } = counted();
    vector.writeControl(DYN_CTL.REARM);
    vector.freeze();
    vector.raise();
    expect(signals()).toBe(0);
    vector.thaw();
    expect(signals()).toBe(1);
  });

  test("waits for an event where the guest has none yet", () => {
    const { vector, signals, open } = counted(false);
    vector.writeControl(DYN_CTL.REARM);
    vector.raise();
    expect(vector.enabled).toBe(true);
    open();
    vector.raise();
    expect(signals()).toBe(1);
    expect(vector.enabled).toBe(false);
  });

  test("tells of a software interrupt that a write asks for", () => {
    const { vector } = counted();
    expect(vector.writeControl(0x0100_001d)).toBe(true);
    expect(vector.writeControl(DYN_CTL.REARM)).toBe(false);
  });
});

describe("vector 0", () => {
  function zero(): { vector: MailboxVector; signals: () => number } {
    let count = 0;
    const real = { read: () => 0, write: () => {} };
    const vector = new MailboxVector(real, () => {
      count++;
      return true;
    });
    return { vector, signals: () => count };
  }

  test("fires for an enabled cause only, and a read takes the causes", () => {
    const { vector, signals } = zero();
    vector.write(VF_REGISTER.VFINT_DYN_CTL01, DYN_CTL.REARM);
    vector.raise(ICR0.ADMINQ);
    expect(signals()).toBe(0);
    vector.write(VF_REGISTER.VFINT_ICR0_ENA1, ICR0.ADMINQ);
    expect(signals()).toBe(1);
    expect(vector.read(VF_REGISTER.VFINT_ICR01)).toBe(ICR0.ADMINQ | ICR0.INTEVENT);
    expect(vector.read(VF_REGISTER.VFINT_ICR01)).toBe(0);
  });

  test("is what it was after being saved and loaded", () => {
    const { vector } = zero();
    vector.write(VF_REGISTER.VFINT_DYN_CTL01, DYN_CTL.REARM);
    vector.write(VF_REGISTER.VFINT_ICR0_ENA1, ICR0.ADMINQ);
    vector.write(VF_REGISTER.VFINT_STAT_CTL01, 0xc);
    vector.write(VF_REGISTER.VFINT_ITR01 + 4, 25);
    const other = zero();
    other.vector.load(vector.save());
    expect(other.vector.save()).toEqual(vector.save());
    other.vector.raise(ICR0.ADMINQ);
    expect(other.signals()).toBe(1);
  });
});
