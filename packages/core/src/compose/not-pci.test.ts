import { describe, expect, it } from "vitest";
import { composed, migrationOf } from "../testing/composed.ts";
import { FakeBase } from "../testing/fake-base.ts";

describe("a device that is no PCI function", () => {
  const notPci = (): FakeBase =>
    new FakeBase({
      pci: false,
      identity: { device: "nic0", base: { name: "mock", version: "1" } },
    });

  it("is composed, taken over by region index, and moves as any other", async () => {
    const seen: string[] = [];
    const facet = {
      index: 3,
      trapped: [{ offset: 0x1000, size: 4 }],
      read: (offset: number, into: Uint8Array) => void seen.push(`${offset}+${into.length}`),
      write() {},
    };
    const [source, target] = [
      await composed({ regions: [facet] }, {}, notPci()),
      await composed({}, {}, notPci()),
    ];
    expect(source.device.info).toMatchObject({ pci: false, identity: { base: { name: "mock" } } });
    source.device.readRegion(3, 0x0ffe, new Uint8Array(8));
    expect(seen).toEqual(["4096+4"]);
    expect(source.base.calls).toEqual(["readRegion 3:4094+2", "readRegion 3:4100+2"]);
    let told = 0;
    const taken = source.sub.context?.interrupts.intercept(2, 1, () => (told += 1));
    source.base.raise(2, 1);
    expect(told).toBe(1);
    taken?.release();
    await migrationOf(source).setState("stop-copy");
    await migrationOf(target).setState("resuming");
    const state = new Uint8Array(4096);
    const count = await migrationOf(source).readData(state);
    await migrationOf(target).writeData(state.subarray(0, count));
    await migrationOf(target).setState("running");
    expect(target.sub.loaded).toHaveLength(1);
    await source.device.reset();
  });

  it("has no request of the host's to intercept, though it has an index of that number", async () => {
    const base = notPci();
    const it = await composed({ hostRequest() {} }, {}, base);
    expect(base.irqRequests).toEqual([]);
    await it.device[Symbol.asyncDispose]();
  });
});
