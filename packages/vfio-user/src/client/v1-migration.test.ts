import { hasType, REGION_TYPE, V1_REGISTER, VfmigError, withV1MigrationRegion } from "@vfmig/core";
import { describe, expect, it } from "vitest";
import { adjustableDevice, type AdjustableDevice } from "../testing/adjustable-device.ts";
import { Harness } from "../testing/harness.ts";
import { Gate } from "../testing/memory-device.ts";
import { TEST_IOS, type TestIo } from "../testing/test-io.ts";
import { connectVfioUser, type VfioUserClient } from "./client.ts";

const [STOP, RUNNING, STOP_COPY, PRE_COPY, RESUMING] = [0, 1, 2, 3, 4];

interface Rig extends AsyncDisposable {
  readonly it: AdjustableDevice;
  readonly client: VfioUserClient;
  /** Index of the migration region, found by its type. */
  readonly index: number;
}

async function rig(testIo: TestIo): Promise<Rig> {
  const opened = testIo.open();
  const mmapFd = opened.io.memfd("bar", 20_480);
  const it = await adjustableDevice(mmapFd, { descriptionBytes: 20_000 });
  const device = withV1MigrationRegion(it.device, { dataBytes: 8192 });
  const all = new Harness(opened, device, { writeMultiple: true });
  const client = await connectVfioUser({ io: all.io, path: all.path, regionFds: false });
  const found = client.info.regions.find(({ type }) => hasType(type, REGION_TYPE.MIGRATION));
  return {
    it,
    client,
    index: found?.index ?? -1,
    async [Symbol.asyncDispose]() {
      await client.close();
      await all.server.close();
      opened.io.close(mmapFd);
    },
  };
}

async function state({ client, index }: Rig): Promise<number> {
  const into = new Uint8Array(4);
  await client.readRegion(index, V1_REGISTER.DEVICE_STATE, into);
  return into[0] ?? -1;
}

function setState({ client, index }: Rig, value: number): Promise<void> {
  const from = new Uint8Array(Uint32Array.of(value).buffer);
  return client.writeRegion(index, V1_REGISTER.DEVICE_STATE, from);
}

async function long({ client, index }: Rig, offset: number): Promise<number> {
  const into = new Uint8Array(8);
  await client.readRegion(index, offset, into);
  return Number(new DataView(into.buffer).getBigUint64(0, true));
}

/** The save loop of `linux/vfio.h`. */
async function drain(rigged: Rig): Promise<Uint8Array[]> {
  const chunks: Uint8Array[] = [];
  while ((await long(rigged, V1_REGISTER.PENDING_BYTES)) > 0) {
    const offset = await long(rigged, V1_REGISTER.DATA_OFFSET);
    const bytes = new Uint8Array(await long(rigged, V1_REGISTER.DATA_SIZE));
    await rigged.client.readRegion(rigged.index, offset, bytes);
    chunks.push(bytes);
  }
  return chunks;
}

async function give(rigged: Rig, chunk: Uint8Array): Promise<void> {
  const { client, index } = rigged;
  await client.writeRegion(index, await long(rigged, V1_REGISTER.DATA_OFFSET), chunk);
  const size = new Uint8Array(BigUint64Array.of(BigInt(chunk.length)).buffer);
  await client.writeRegion(index, V1_REGISTER.DATA_SIZE, size);
}

/** An arc that never ends by itself. */
function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(new Error("aborted")));
  });
}

async function errnoOf(call: Promise<unknown>): Promise<unknown> {
  try {
    await call;
    return 0;
  } catch (error) {
    if (VfmigError.is(error)) return error.details["errno"];
    throw error;
  }
}

describe.each(TEST_IOS)("migration protocol v1 over a socket $name", (testIo) => {
  it("moves a device's state by the region alone, with pre-copy", async () => {
    await using source = await rig(testIo);
    await using target = await rig(testIo);
    expect(source.index).toBe(9);
    expect(await state(source)).toBe(RUNNING);
    await setState(source, PRE_COPY);
    const early = await drain(source);
    expect(early.length).toBeGreaterThan(2);
    await setState(source, STOP_COPY);
    const late = await drain(source);
    await setState(source, STOP);
    await setState(target, RESUMING);
    for (const chunk of [...early, ...late]) await give(target, chunk);
    expect(target.it.commits()).toBe(0);
    await setState(target, RUNNING);
    expect([await state(source), await state(target), target.it.commits()]).toEqual([0, 1, 1]);
  });

  it("answers a change of state when it is done, and serves everything else meanwhile", async () => {
    await using all = await rig(testIo);
    const gate = new Gate();
    all.it.duties.set("running->running-p2p", () => gate.wait());
    const order: string[] = [];
    const change = setState(all, STOP).then(() => order.push("changed"));
    const read = state(all).then((value) => order.push(`state ${value}`));
    const vendor = new Uint8Array(2);
    await all.client.readRegion(7, 0, vendor);
    await all.client.writeRegion(0, 0x200, vendor);
    order.push("served");
    gate.open();
    await Promise.all([change, read]);
    expect(order).toEqual(["served", "changed", "state 0"]);
  });

  it("keeps the data of an access that waits, whatever comes behind it", async () => {
    await using all = await rig(testIo);
    const gate = new Gate();
    all.it.duties.set("running->running-p2p", () => gate.wait());
    const changes = [setState(all, STOP), setState(all, STOP_COPY)];
    for (let i = 0; i < 4; i += 1) {
      await all.client.writeRegion(0, 0x200, new Uint8Array(64).fill(RESUMING));
    }
    gate.open();
    await Promise.all(changes);
    expect(await state(all)).toBe(STOP_COPY);
  });

  it("refuses what the protocol refuses, and shows the state as it was", async () => {
    await using all = await rig(testIo);
    for (const value of [5, 6, 7, 8]) expect(await errnoOf(setState(all, value))).toBe(22);
    expect(await errnoOf(all.client.readRegion(all.index, 0, new Uint8Array(2)))).toBe(22);
    expect(await errnoOf(long(all, V1_REGISTER.DATA_OFFSET))).toBe(22);
    const several = [{ index: all.index, offset: 0, data: new Uint8Array(4) }];
    expect(await errnoOf(all.client.writeRegions(several))).toBe(95);
    expect(await state(all)).toBe(RUNNING);
  });

  it("is cancelled by a reset, with what waits", async () => {
    await using all = await rig(testIo);
    all.it.duties.set("running->running-p2p", untilAborted);
    const calls = [errnoOf(setState(all, STOP)), errnoOf(setState(all, RESUMING))];
    await all.client.readRegion(7, 0, new Uint8Array(2));
    await all.client.reset();
    expect(await Promise.all(calls)).toEqual([125, 125]);
    expect(await state(all)).toBe(RUNNING);
  });

  it("leaves no state behind when the client goes in the middle of it", async () => {
    const opened = testIo.open();
    const mmapFd = opened.io.memfd("bar", 20_480);
    const { device: inner, duties } = await adjustableDevice(mmapFd);
    await using all = new Harness(opened, withV1MigrationRegion(inner));
    const before = all.openFds();
    const first = await connectVfioUser({ io: all.io, path: all.path });
    duties.set("running->running-p2p", untilAborted);
    const lost = errnoOf(first.writeRegion(9, 0, new Uint8Array(Uint32Array.of(STOP).buffer)));
    await first.readRegion(7, 0, new Uint8Array(2));
    await first.close();
    await lost;
    await all.clientsGone(1);
    expect(all.openFds()).toBe(before);
    duties.clear();
    await using second = await connectVfioUser({ io: all.io, path: all.path });
    const into = new Uint8Array(4);
    await second.readRegion(9, 0, into);
    expect(into[0]).toBe(RUNNING);
  });
});
