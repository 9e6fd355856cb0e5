import { IRQ_TYPE, VfmigError } from "@vfmig/core";
import { describe, expect, it } from "vitest";
import type { VfioUserServerOptions } from "../server/options.ts";
import { adjustableDevice, type AdjustableDevice } from "../testing/adjustable-device.ts";
import { Harness } from "../testing/harness.ts";
import { ManualClock } from "../testing/manual-clock.ts";
import { TEST_IOS, type TestIo } from "../testing/test-io.ts";
import { connectVfioUser, type VfioUserClient } from "./client.ts";
import type { LayoutChange } from "./region-layouts.ts";

const PAGE0 = { offset: 0, size: 4096 };
const PAGE2 = { offset: 8192, size: 4096 };

interface Rig extends AsyncDisposable {
  readonly all: Harness<AdjustableDevice["device"]>;
  readonly it: AdjustableDevice;
  readonly clock: ManualClock;
  connect(options?: { readonly regionFds?: boolean }): Promise<VfioUserClient>;
}

async function rig(testIo: TestIo, options: Partial<VfioUserServerOptions> = {}): Promise<Rig> {
  const opened = testIo.open();
  const mmapFd = opened.io.memfd("bar", 4096 + 16_384);
  const clock = new ManualClock();
  const it = await adjustableDevice(mmapFd, { clock });
  const all = new Harness(opened, it.device, options);
  return {
    all,
    it,
    clock,
    connect: (more) => connectVfioUser({ io: all.io, path: all.path, ...more }),
    async [Symbol.asyncDispose]() {
      await all.server.close();
      opened.io.close(mmapFd);
    },
  };
}

async function failure(call: Promise<unknown> | undefined): Promise<VfmigError> {
  try {
    await call;
  } catch (error) {
    if (VfmigError.is(error)) return error;
    throw error;
  }
  throw new Error("the call did not fail");
}

/** Lets socket and event loop come to rest. */
async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) {
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
}

describe.each(TEST_IOS)("layouts over a socket $name", (testIo) => {
  it("come with the areas that remain while saving, and the irq index with its type", async () => {
    await using all = await rig(testIo);
    await using client = await all.connect();
    expect(client.info.regions[2]?.mmap).toMatchObject({ areas: [PAGE0, PAGE2], saving: [PAGE2] });
    expect(client.info.irqs.map(({ type }) => type)).toEqual([
      ...[0, 1, 2, 3, 4].map(() => undefined),
      IRQ_TYPE.LAYOUT,
    ]);
  });

  it("refuse saving while the client maps too much, name it, and take its word afterwards", async () => {
    await using all = await rig(testIo);
    await using client = await all.connect();
    const map = await client.mapRegion(2, PAGE0);
    map.bytes[7] = 42;
    expect(await failure(client.migration?.setState("pre-copy"))).toMatchObject({
      code: "ERR_VFMIG_VFIO_USER_REMOTE",
      message: expect.stringContaining("EBUSY"),
    });
    expect(all.all.log.join("\n")).toContain(
      "Cannot go to pre-copy: region 2 is still mapped at 0x0+0x1000 by the vfio-user client",
    );
    expect(client.migration?.state).toBe("running");
    expect(await client.adoptSavingLayout()).toEqual([{ region: 2, area: PAGE0 }]);
    expect(map.bytes).toHaveLength(0);
    await client.migration?.setState("pre-copy");
    await client.migration?.setState("running");
    const again = await client.mapRegion(2, PAGE0);
    expect(again.bytes[7]).toBe(42);
    await failure(client.migration?.setState("stop-copy"));
    await client.releaseRegion(2);
    await client.migration?.setState("stop-copy");
  });

  it("let a saving begin when the client that was in the way has gone", async () => {
    await using all = await rig(testIo);
    const first = await all.connect();
    await failure(first.migration?.setState("stop-copy"));
    await first.close();
    await all.all.clientsGone(1);
    await using second = await all.connect({ regionFds: false });
    await second.migration?.setState("stop-copy");
  });

  it("refuse to map while saving what may not be, and allow it again afterwards", async () => {
    await using all = await rig(testIo);
    await using client = await all.connect();
    await client.adoptSavingLayout();
    await client.migration?.setState("stop-copy");
    expect((await failure(client.mapRegion(2, PAGE0))).code).toBe("ERR_VFMIG_MAPPING_REFUSED");
    await client.mapRegion(2, PAGE2);
    await client.migration?.setState("running");
    await client.mapRegion(2, PAGE0);
  });

  it.each([
    [2, { offset: 4096, size: 4096 }],
    [2, { offset: 0, size: 8192 }],
    [2, { offset: 2, size: 4096 }],
    [2, { offset: 0, size: 0 }],
    [0, PAGE0],
    [99, PAGE0],
  ])("refuse to map region %i at %o", async (region, area) => {
    await using all = await rig(testIo);
    await using client = await all.connect();
    expect((await failure(client.mapRegion(region, area))).code).toBe("ERR_VFMIG_MAPPING_REFUSED");
  });

  it("that get narrower reach a client that listens, which lets go and says so", async () => {
    await using all = await rig(testIo);
    await using client = await all.connect();
    const changes: LayoutChange[] = [];
    using _ = await client.onLayoutChange((change) => void changes.push(change));
    changes.length = 0;
    const [map, other] = [await client.mapRegion(2, PAGE0), await client.mapRegion(2, PAGE2)];
    await all.it.regions.trap(2, [{ offset: 0x10, size: 4 }]);
    expect(changes).toHaveLength(1);
    expect(changes[0]).toMatchObject({ lost: [{ region: 2, area: PAGE0 }] });
    expect(changes[0]?.regions[2]?.mmap?.areas).toEqual([PAGE2]);
    expect(changes[0]?.before[2]?.mmap?.areas).toEqual([PAGE0, PAGE2]);
    expect([map.bytes.length, other.bytes.length]).toEqual([0, 4096]);
    expect(client.info.regions[2]?.mmap?.areas).toEqual([PAGE2]);
    const word = new Uint8Array(4);
    await client.readRegion(2, 0x10, word);
    expect([[...word], all.it.seen]).toEqual([[0xad, 0xad, 0xad, 0xad], ["read 16+4"]]);
  });

  it("that get wider again can be mapped again, with the same fd", async () => {
    await using all = await rig(testIo);
    await using client = await all.connect();
    const before = client.info.regions[2]?.mmap;
    const seen = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let next = 0;
    using _ = await client.onLayoutChange(({ regions }) => {
      if (next === 0 && regions[2]?.mmap === undefined) seen[next++]?.resolve();
      else if (next === 1 && regions[2]?.mmap !== undefined) seen[next++]?.resolve();
    });
    await all.it.regions.trap(2, [{ offset: 0, size: 16_384 }]);
    await seen[0]?.promise;
    expect(client.info.regions[2]?.mmap).toBeUndefined();
    all.it.regions.untrap(2, [{ offset: 0, size: 16_384 }]);
    await seen[1]?.promise;
    expect(client.info.regions[2]?.mmap).toEqual(before);
    (await client.mapRegion(2, PAGE0)).bytes[0] = 1;
  });

  it("wait for a listener to let go of what it maps itself", async () => {
    await using all = await rig(testIo);
    await using client = await all.connect();
    const map = await client.mapRegion(2, PAGE0);
    const [gate, told] = [Promise.withResolvers<void>(), Promise.withResolvers<number>()];
    using _ = await client.onLayoutChange(async ({ lost }) => {
      if (lost.length === 0) return;
      told.resolve(map.bytes.length);
      await gate.promise;
    });
    let trapped = false;
    const trap = all.it.regions.trap(2, [{ offset: 0, size: 4 }]).then(() => (trapped = true));
    // What the client maps by itself is gone before anybody is told.
    expect(await told.promise).toBe(0);
    // An answer to what is asked now comes behind that to anything that was said before.
    for (let i = 0; i < 3; i += 1) await client.readRegion(7, 0, new Uint8Array(2));
    expect(trapped).toBe(false);
    gate.resolve();
    await trap;
  });

  it("are not said to be let go by a listener that fails; the trap ends with a name", async () => {
    await using all = await rig(testIo);
    await using client = await all.connect();
    using _ = await client.onLayoutChange(({ lost }) => {
      if (lost.length > 0) throw new Error("busy");
    });
    const trap = failure(all.it.regions.trap(2, [{ offset: 0, size: 4 }]));
    await turns(20);
    all.clock.advance(5000);
    expect(await trap).toMatchObject({
      code: "ERR_VFMIG_TRAP_TIMEOUT",
      message: expect.stringContaining("the vfio-user client was asked to fetch the layout again"),
    });
    await client.writeRegion(2, 0, new Uint8Array(4)).catch(() => {});
    expect(all.it.seen).toEqual([]);
  });

  it("cannot be narrowed under a client that does not listen, and can once it has gone", async () => {
    await using all = await rig(testIo);
    const client = await all.connect();
    const trap = (): Promise<void> => all.it.regions.trap(2, [{ offset: 0, size: 4 }]);
    expect((await failure(trap())).code).toBe("ERR_VFMIG_MAPPING_CONFLICT");
    const listening = await client.onLayoutChange(() => {});
    listening[Symbol.dispose]();
    await client.readRegion(7, 0, new Uint8Array(2));
    expect((await failure(trap())).code).toBe("ERR_VFMIG_MAPPING_CONFLICT");
    await client.close();
    await all.all.clientsGone(1);
    await trap();
  });

  it("are asked for in an arc while the client waits for the state", async () => {
    await using all = await rig(testIo);
    await using client = await all.connect();
    using _ = await client.onLayoutChange(() => {});
    await client.adoptSavingLayout();
    all.it.duties.set("running->pre-copy", () =>
      all.it.regions.trap(2, [{ offset: 8192, size: 4 }]),
    );
    await client.migration?.setState("pre-copy");
    expect(all.it.device.info.regions[2]?.mmap).toBeUndefined();
  });

  it("leave no descriptor and no mapping behind, however the client ends", async () => {
    await using all = await rig(testIo);
    const before = all.all.openFds();
    const client = await all.connect();
    await client.onLayoutChange(() => {});
    const map = await client.mapRegion(2, PAGE0);
    await all.it.regions.trap(2, [{ offset: 8192, size: 4 }]);
    await client.close();
    await all.all.clientsGone(1);
    expect([all.all.openFds(), map.bytes.length]).toEqual([before, 0]);
    await all.it.regions.trap(2, [{ offset: 0, size: 4 }]);
  });

  it("cannot be followed where the device never changes them", async () => {
    await using all = Harness.of(testIo);
    await using client = await connectVfioUser({ io: all.io, path: all.path });
    expect((await failure(client.onLayoutChange(() => {}))).code).toBe(
      "ERR_VFMIG_VFIO_USER_UNSUPPORTED",
    );
    expect(await client.adoptSavingLayout()).toEqual([]);
    await client.releaseRegion(2);
  });
});
