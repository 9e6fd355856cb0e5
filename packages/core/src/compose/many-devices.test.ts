import { describe, expect, it } from "vitest";
import type { SubDriverContext } from "../sub-driver/context.ts";
import { codeOf, composed, migrationOf } from "../testing/composed.ts";
import { FakeBase } from "../testing/fake-base.ts";
import { settle } from "../testing/fake-clock.ts";
import { FakeSubDriver } from "../testing/fake-sub-driver.ts";
import { compose } from "./compose.ts";

describe("two devices of one definition", () => {
  it("have contexts of their own, of which neither reaches the other's base", async () => {
    const contexts: SubDriverContext[] = [];
    const definition = {
      ...new FakeSubDriver({ migrates: false }).definition,
      attach(context: SubDriverContext) {
        contexts.push(context);
        return { close: async () => {} };
      },
    };
    const bases = [new FakeBase(), new FakeBase()];
    const devices = await Promise.all(bases.map((base) => compose(base, definition)));
    const [first, second] = contexts;
    expect(first).not.toBe(second);
    first?.base.writeRegion(0, 0, Uint8Array.of(7));
    const buffer = first?.dma.allocate(4096);
    expect(bases.map((base) => base.bytes[0]?.[0])).toEqual([7, 0]);
    expect(bases.map((base) => base.dma.size)).toEqual([1, 0]);
    await devices[0]?.[Symbol.asyncDispose]();
    expect(() => first?.base.readRegion(0, 0, new Uint8Array(1))).toThrow(
      expect.objectContaining({ code: "ERR_VFMIG_DEVICE_CLOSED" }),
    );
    second?.base.readRegion(0, 0, new Uint8Array(1));
    expect(second?.dma.allocate(4096).iova).toBe(buffer?.iova);
    await devices[1]?.[Symbol.asyncDispose]();
  });

  it("fail, stop and are reset each for itself", async () => {
    const [one, other] = [await composed(), await composed()];
    one.sub.duties.set("running->running-p2p", () => Promise.withResolvers<void>().promise);
    const lost = codeOf(migrationOf(one).setState("stop"));
    await settle();
    await migrationOf(other).setState("stop");
    await one.clock.advance(30_000);
    expect(await lost).toBe("ERR_VFMIG_MIGRATION_TIMEOUT");
    expect([migrationOf(one).state, migrationOf(other).state]).toEqual(["error", "stop"]);
    const reset = one.device.reset();
    await one.clock.advance(1_000);
    await reset;
    expect([migrationOf(one).state, migrationOf(other).state]).toEqual(["running", "stop"]);
    expect(other.base.calls).not.toContain("reset");
  });
});
