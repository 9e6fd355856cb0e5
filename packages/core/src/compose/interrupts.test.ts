import { describe, expect, it } from "vitest";
import type { IrqEvent, IrqRequest } from "../device/irqs.ts";
import type { Interception } from "../sub-driver/context.ts";
import { composed, type Composed } from "../testing/composed.ts";

const [INTX, MSI, MSIX, REQ] = [0, 1, 2, 4];

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

const disable = (index: number): IrqRequest => ({
  index,
  start: 0,
  count: 0,
  action: "trigger",
  data: { kind: "none" },
});

interface Intercepted extends Composed {
  readonly taken: Interception;
  readonly ours: { count: number };
}

function intercept(it: Composed, vector = 0, index = MSIX): Intercepted {
  const ours = counter();
  if (it.sub.context === undefined) throw new Error("not attached");
  const taken = it.sub.context.interrupts.intercept(index, vector, () => ours.signal());
  return { ...it, taken, ours };
}

describe("interrupts without interception", () => {
  it("go to the base word for word", async () => {
    const { device, base } = await composed();
    const requests = [
      enable(MSIX, [counter(), counter()]),
      { ...disable(MSIX), count: 2 },
      disable(MSIX),
      enable(INTX, [counter()]),
      { ...disable(INTX), action: "unmask", count: 1 } as const,
    ];
    for (const request of requests) device.setIrqs(request);
    expect(base.irqRequests).toEqual(requests);
  });

  it("keep what the guest had when the base refuses", async () => {
    const { device, base } = await composed();
    const [first, second] = [counter(), counter()];
    device.setIrqs(enable(MSIX, [first]));
    base.fail.set("setIrqs", new Error("no vectors left"));
    expect(() => device.setIrqs(enable(MSIX, [second]))).toThrow(
      expect.objectContaining({ layer: "base" }),
    );
    base.raise(MSIX, 0);
    expect([first.count, second.count]).toEqual([1, 0]);
  });
});

describe("an intercepted vector", () => {
  it("reaches the sub-driver, which passes it on as it likes", async () => {
    const it = intercept(await composed());
    const guest = counter();
    expect(it.taken.guestListens).toBe(false);
    it.device.setIrqs(enable(MSIX, [guest]));
    expect(it.taken.guestListens).toBe(true);
    it.base.raise(MSIX, 0);
    expect([it.ours.count, guest.count]).toEqual([1, 0]);
    it.taken.signalGuest();
    expect(guest.count).toBe(1);
  });

  it("works whether the guest was there first or comes and goes", async () => {
    const it = await composed();
    const guest = counter();
    it.device.setIrqs(enable(MSIX, [guest, guest]));
    const { ours } = intercept(it);
    it.base.raise(MSIX, 0);
    it.base.raise(MSIX, 1);
    expect([ours.count, guest.count]).toEqual([1, 1]);
    it.device.setIrqs(disable(MSIX));
    const before = ours.count;
    it.base.raise(MSIX, 0);
    expect(ours.count).toBe(before + 1);
    expect(it.base.raise(MSIX, 1)).toBe(false);
    it.device.setIrqs(enable(MSIX, [undefined, undefined, guest]));
    it.base.raise(MSIX, 2);
    it.base.raise(MSIX, 0);
    expect([ours.count, guest.count]).toEqual([before + 2, 2]);
  });

  it("is given back, and signalled once, when it is released", async () => {
    const it = intercept(await composed());
    const guest = counter();
    it.device.setIrqs(enable(MSIX, [guest]));
    it.taken.release();
    expect(guest.count).toBe(1);
    it.base.raise(MSIX, 0);
    expect([it.ours.count, guest.count]).toEqual([0, 2]);
    it.taken.release();
    expect(guest.count).toBe(2);
  });

  it("leaves the index disabled when it is released and nobody else wants it", async () => {
    const it = intercept(await composed());
    expect(it.base.irqs.enabled(MSIX)).toBe(1);
    it.taken.release();
    expect(it.base.irqs.enabled(MSIX)).toBe(0);
  });

  it("does not see what the guest fires itself", async () => {
    const it = intercept(await composed());
    const guest = counter();
    it.device.setIrqs(enable(MSIX, [guest, guest]));
    it.device.setIrqs({ ...disable(MSIX), count: 2 });
    expect([it.ours.count, guest.count]).toEqual([0, 2]);
  });

  it("survives a reset of a base that forgets its events", async () => {
    const it = intercept(await composed(), 1);
    const guest = counter();
    it.device.setIrqs(enable(MSIX, [guest, guest]));
    await it.device.reset();
    it.base.raise(MSIX, 1);
    it.base.raise(MSIX, 0);
    expect([it.ours.count, guest.count]).toEqual([1, 1]);
  });

  it("yields to another kind of interrupt that the guest wants, and returns after it", async () => {
    const it = intercept(await composed());
    const guest = counter();
    it.device.setIrqs(enable(MSI, [guest]));
    expect([it.base.irqs.enabled(MSIX), it.base.irqs.enabled(MSI)]).toEqual([0, 1]);
    it.device.setIrqs(disable(MSI));
    expect([it.base.irqs.enabled(MSIX), it.base.irqs.enabled(MSI)]).toEqual([1, 0]);
    it.base.raise(MSIX, 0);
    expect(it.ours.count).toBe(1);
  });

  it("of an index that cannot grow is kept through the guest's enabling", async () => {
    const it = intercept(await composed(), 0, MSI);
    const guest = counter();
    it.device.setIrqs(enable(MSI, [guest, guest]));
    const before = it.ours.count;
    it.base.raise(MSI, 0);
    it.base.raise(MSI, 1);
    expect([it.ours.count, guest.count]).toEqual([before + 1, 1]);
  });

  it("keeps everything as it was when the base refuses the guest's request", async () => {
    const it = intercept(await composed());
    const [first, second] = [counter(), counter()];
    it.device.setIrqs(enable(MSIX, [first, first]));
    it.base.fail.set("setIrqs", new Error("no vectors left"));
    expect(() => it.device.setIrqs(enable(MSIX, [second, second]))).toThrow("no vectors left");
    it.base.fail.clear();
    it.base.raise(MSIX, 1);
    it.taken.signalGuest();
    expect([first.count, second.count]).toEqual([2, 0]);
  });

  it.each([
    ["an unknown index", 9, 0],
    ["a vector beyond the last", MSIX, 4],
    ["a fractional vector", MSIX, 0.5],
    ["an index that waits to be unmasked", INTX, 0],
    ["a vector that is taken", MSIX, 0],
  ])("is refused for %s", async (_, index, vector) => {
    const it = intercept(await composed());
    expect(() => intercept(it, vector, index)).toThrow(
      expect.objectContaining({ code: "ERR_VFMIG_IRQ_INTERCEPT" }),
    );
  });

  it("can be intercepted again after its release", async () => {
    const first = intercept(await composed());
    first.taken.release();
    const second = intercept(first);
    first.taken.release();
    first.base.raise(MSIX, 0);
    expect([first.ours.count, second.ours.count]).toEqual([0, 1]);
  });

  it("whose sub-driver throws costs nobody else anything", async () => {
    const it = await composed();
    it.sub.context?.interrupts.intercept(MSIX, 0, () => {
      throw new Error("confused");
    });
    it.base.raise(MSIX, 0);
    expect(it.logger.lines.some((line) => line.includes("confused"))).toBe(true);
  });

  it("uses the host's events and closes them", async () => {
    const closed: string[] = [];
    const it = await composed(
      {},
      {
        createIrqEvent: (signal) => ({ signal, fd: 9, [Symbol.dispose]: () => closed.push("9") }),
      },
    );
    const { taken } = intercept(it);
    const data = it.base.irqRequests[0]?.data;
    expect(data?.kind === "event" && data.events[0]?.fd).toBe(9);
    taken.release();
    expect(closed).toEqual(["9"]);
  });

  it("matches a simple model through any order of requests", async () => {
    // Guest and sub-driver take turns at random (fixed seed); after each turn every vector is raised.
    let seed = 7;
    const random = (below: number): number => {
      seed = (seed * 1_103_515_245 + 12_345) & 0x7fff_ffff;
      return (seed >> 8) % below;
    };
    const it = await composed();
    const ours = Array.from({ length: 4 }, counter);
    const guests = Array.from({ length: 4 }, counter);
    const taken = new Map<number, Interception>();
    let listens: boolean[] = [];
    for (let turn = 0; turn < 300; turn++) {
      const vector = random(4);
      const action = random(4);
      if (action === 0) {
        const count = 1 + random(4);
        it.device.setIrqs(enable(MSIX, guests.slice(0, count)));
        listens = Array.from({ length: 4 }, (_, v) => v < count || (listens[v] ?? false));
      } else if (action === 1) {
        it.device.setIrqs(disable(MSIX));
        listens = [];
      } else if (taken.has(vector)) {
        taken.get(vector)?.release();
        taken.delete(vector);
      } else {
        const run = (): void => ours[vector]?.signal();
        const given = it.sub.context?.interrupts.intercept(MSIX, vector, run);
        if (given !== undefined) taken.set(vector, given);
      }
      for (const event of [...ours, ...guests]) event.count = 0;
      for (let v = 0; v < 4; v++) it.base.raise(MSIX, v);
      const toUs = ours.map(({ count }) => count);
      const toGuest = guests.map(({ count }) => count);
      expect(toUs).toEqual(ours.map((_, v) => (taken.has(v) ? 1 : 0)));
      expect(toGuest).toEqual(guests.map((_, v) => (!taken.has(v) && listens[v] ? 1 : 0)));
    }
  });
});

describe("the host's request for the device", () => {
  it("reaches the sub-driver first and then the guest, with rising urgency", async () => {
    const order: string[] = [];
    const it = await composed({ hostRequest: (count) => void order.push(`sub-driver ${count}`) });
    it.device.setIrqs(enable(REQ, [{ signal: () => void order.push("guest") }]));
    it.base.raise(REQ, 0);
    it.base.raise(REQ, 0);
    expect(order).toEqual(["sub-driver 1", "guest", "sub-driver 2", "guest"]);
  });
});

describe("a sub-driver's own irq indexes", () => {
  const own = {
    index: 5,
    count: 2,
    eventfd: true,
    maskable: false,
    automasked: false,
    noResize: false,
  };

  it("follow those of the base, and are checked before it sees a request", async () => {
    const seen: IrqRequest[] = [];
    const it = await composed({ irqs: { irqs: [own], set: (request) => void seen.push(request) } });
    expect(it.device.info.irqs).toHaveLength(6);
    it.device.setIrqs(enable(5, [counter()]));
    expect(() => it.device.setIrqs(enable(5, [counter()], 2))).toThrow("2 vectors");
    expect(() => it.device.setIrqs(enable(6, [counter()]))).toThrow("no such index");
    expect(seen).toHaveLength(1);
    expect(it.base.irqRequests).toEqual([]);
  });

  it.each([{ index: 6 }, { count: 0 }, { count: Number.NaN }, { maskable: true }])(
    "are refused with %o",
    async (more) => {
      const irqs = { irqs: [{ ...own, ...more }], set() {} };
      await expect(composed({ irqs })).rejects.toMatchObject({
        code: "ERR_VFMIG_SUB_DRIVER_ANSWER",
      });
    },
  );
});
