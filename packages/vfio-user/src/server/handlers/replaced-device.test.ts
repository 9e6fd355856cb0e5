import { createReplaceableDevice, type ReplaceableDevice } from "@vfmig/core";
import { describe, expect, it } from "vitest";
import { adjustableDevice, type AdjustableDevice } from "../../testing/adjustable-device.ts";
import { Harness } from "../../testing/harness.ts";
import { join, u32, u64 } from "../../testing/raw-peer.ts";
import { errno, regionRead, regionWrite } from "../../testing/requests.ts";
import { TEST_IOS, type TestIo } from "../../testing/test-io.ts";

const NO_REPLY = 0x10;

interface Rig extends AsyncDisposable {
  readonly all: Harness<ReplaceableDevice>;
  readonly old: AdjustableDevice;
  readonly next: AdjustableDevice;
  /** Begins to replace, and settles when the old device is about to stop. */
  readonly begin: () => Promise<{ readonly done: Promise<unknown>; readonly go: () => void }>;
}

async function rig(testIo: TestIo): Promise<Rig> {
  const opened = testIo.open();
  const fd = opened.io.memfd("bar", 4096 * 8);
  const old = await adjustableDevice(fd);
  const next = await adjustableDevice(fd);
  const device = createReplaceableDevice(old.device);
  const all = new Harness(opened, device, { writeMultiple: true });
  return {
    all,
    old,
    next,
    async begin() {
      const reached = Promise.withResolvers<void>();
      const gate = Promise.withResolvers<void>();
      old.duties.set("pre-copy-p2p->stop-copy", async () => {
        reached.resolve();
        await gate.promise;
      });
      const done = device.replace(next.device);
      await reached.promise;
      return { done, go: gate.resolve };
    },
    async [Symbol.asyncDispose]() {
      await all.server.close();
      opened.io.close(fd);
    },
  };
}

describe.each(TEST_IOS)("a served device that is replaced $name", (testIo) => {
  it("lets accesses wait, posted ones too, and does them in their order on the new one", async () => {
    await using it = await rig(testIo);
    const peer = it.all.connect();
    await peer.negotiate();
    const { done, go } = await it.begin();
    const entry = join(u64(16), u32(0, 4), u32(2), u32(0));
    peer.command(1, 10, regionWrite(16, u32(1)), { flags: NO_REPLY });
    peer.command(2, 15, join(u64(1), entry), { flags: NO_REPLY });
    peer.command(3, 9, regionRead(16, 4));
    peer.command(4, 10, regionWrite(16, u32(3)), { flags: NO_REPLY });
    peer.command(5, 9, regionRead(16, 4));
    peer.command(6, 10, regionWrite(20, u32(4)));
    // Everything else is served meanwhile.
    peer.command(7, 4, u32(16, 0, 0, 0));
    expect(await errno(peer, 7)).toBe(0);
    expect(peer.replies).toEqual([]);
    go();
    await done;
    const first = await peer.reply(3);
    expect([...first.payload.subarray(16)]).toEqual([2, 0, 0, 0]);
    expect([...(await peer.reply(5)).payload.subarray(16)]).toEqual([3, 0, 0, 0]);
    expect(await errno(peer, 6)).toBe(0);
    expect([...it.next.base.bar.subarray(16, 24)]).toEqual([3, 0, 0, 0, 4, 0, 0, 0]);
    expect([...it.old.base.bar.subarray(16, 24)]).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
    peer.command(8, 9, regionRead(20, 4));
    expect([...(await peer.reply(8)).payload.subarray(16)]).toEqual([4, 0, 0, 0]);
    peer.close();
  });

  it("goes on with the old one where the new one fails, and no access is lost", async () => {
    await using it = await rig(testIo);
    const peer = it.all.connect();
    await peer.negotiate();
    it.next.duties.set("resuming->stop", () => Promise.reject(new Error("planted")));
    const { done, go } = await it.begin();
    peer.command(1, 10, regionWrite(16, u32(7)), { flags: NO_REPLY });
    peer.command(2, 9, regionRead(16, 4));
    go();
    await expect(done).rejects.toMatchObject({ code: "ERR_VFMIG_REPLACE_FAILED" });
    expect([...(await peer.reply(2)).payload.subarray(16)]).toEqual([7, 0, 0, 0]);
    expect(it.old.base.bar[16]).toBe(7);
    peer.close();
  });

  it("is released where its client goes meanwhile", async () => {
    await using it = await rig(testIo);
    const peer = it.all.connect();
    await peer.negotiate();
    const { done, go } = await it.begin();
    const ended = done.catch((error: unknown) => error);
    peer.command(1, 9, regionRead(16, 4));
    peer.command(2, 9, regionRead(16, 4));
    peer.close();
    go();
    await it.all.clientsGone(1);
    await ended;
    const second = it.all.connect();
    await second.negotiate();
    second.command(1, 9, regionRead(16, 4));
    expect((await second.reply(1)).payload).toHaveLength(20);
    second.close();
  });
});
