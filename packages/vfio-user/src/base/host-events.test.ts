import { PCI_IRQ, VfmigError, type IrqEvent, type IrqRequest, type Logger } from "@vfmig/core";
import { describe, expect, it } from "vitest";
import { connectVfioUser, type VfioUserClient } from "../client/client.ts";
import { Harness } from "../testing/harness.ts";
import { MemoryDevice } from "../testing/memory-device.ts";
import { TEST_IOS, type TestIo } from "../testing/test-io.ts";
import { HostEvents } from "./host-events.ts";

const { ERR, REQ } = PCI_IRQ;

interface Rig extends AsyncDisposable {
  readonly all: Harness;
  readonly client: VfioUserClient;
  readonly events: HostEvents;
  /** What this side was told, in order; awaiting it gives the next. */
  readonly told: Told;
}

/** Notes what it is told, and lets a test wait for it. */
class Told {
  readonly lines: string[] = [];
  readonly #waiting: { readonly count: number; readonly wake: () => void }[] = [];

  add(line: string): void {
    this.lines.push(line);
    for (const { count, wake } of this.#waiting) if (this.lines.length >= count) wake();
  }

  async until(count: number): Promise<readonly string[]> {
    if (this.lines.length < count) {
      await new Promise<void>((wake) => this.#waiting.push({ count, wake }));
    }
    return this.lines;
  }
}

function logTo(told: Told): Logger {
  const add = (level: string) => (): void => told.add(level);
  return { debug: add("debug"), info: add("info"), warn: add("warn"), error: add("error") };
}

async function rig(testIo: TestIo, device: MemoryDevice): Promise<Rig> {
  const all = new Harness(testIo.open(), device);
  const client = await connectVfioUser({ io: all.io, path: all.path, regionFds: false });
  const told = new Told();
  const events = await HostEvents.arm({
    io: all.io,
    device: "vf0",
    irqs: client.info.irqs,
    logger: logTo(told),
    onRequest: (count) => told.add(`wanted ${count}`),
    set: (request) => client.setIrqs(request),
  });
  return {
    all,
    client,
    events,
    told,
    async [Symbol.asyncDispose]() {
      events.close();
      await client.close();
      await all.server.close();
    },
  };
}

const both = (): MemoryDevice => new MemoryDevice({ hostEvents: true });

function trigger(index: number, event: IrqEvent | undefined): IrqRequest {
  const data = { kind: "event", events: [event] } as const;
  return { index, start: 0, count: 1, action: "trigger", data };
}

const disable = (index: number): IrqRequest => ({
  index,
  start: 0,
  count: 0,
  action: "trigger",
  data: { kind: "none" },
});

describe.each(TEST_IOS)("the events of a remote device's host $name", (testIo) => {
  it("reach this side's host first, and then the user's event", async () => {
    await using all = await rig(testIo, both());
    const { events, told } = all;
    events.set(trigger(REQ, { signal: () => told.add("user REQ") }));
    events.set(trigger(ERR, { signal: () => told.add("user ERR") }));
    all.all.device.hostEvents.get(REQ)?.signal();
    await told.until(3);
    all.all.device.hostEvents.get(ERR)?.signal();
    expect(await told.until(5)).toEqual(["warn", "wanted 1", "user REQ", "error", "user ERR"]);
  });

  it("reach this side's host where no user listens, again and again", async () => {
    await using all = await rig(testIo, both());
    const { events, told } = all;
    all.all.device.hostEvents.get(REQ)?.signal();
    await told.until(2);
    events.set(trigger(REQ, { signal: () => told.add("user") }));
    events.set(disable(REQ));
    all.all.device.hostEvents.get(REQ)?.signal();
    expect(await told.until(4)).toEqual(["warn", "wanted 1", "warn", "wanted 2"]);
  });

  it("are set at the server once, whatever the user does with its own", async () => {
    await using all = await rig(testIo, both());
    all.events.set(trigger(REQ, { signal() {} }));
    all.events.set(trigger(REQ, undefined));
    all.events.set(disable(ERR));
    await all.client.readRegion(0, 0, new Uint8Array(4));
    expect(all.all.device.irqRequests.map(({ index, count }) => [index, count])).toEqual([
      [ERR, 1],
      [REQ, 1],
    ]);
  });

  it("can be fired by the user, which this side's host does not hear", async () => {
    await using all = await rig(testIo, both());
    const { events, told } = all;
    const fire = { ...disable(REQ), count: 1 };
    expect(() => events.set(fire)).toThrow(
      expect.objectContaining({ code: "ERR_VFMIG_IRQ_REQUEST" }),
    );
    events.set(trigger(REQ, { signal: () => told.add("user") }));
    events.set(fire);
    expect(told.lines).toEqual(["user"]);
  });

  it("are none where the device has none", async () => {
    await using all = await rig(testIo, new MemoryDevice());
    expect([all.events.has(ERR), all.events.has(REQ)]).toEqual([true, false]);
    expect(all.all.device.irqRequests.map(({ index }) => index)).toEqual([ERR]);
    expect(all.told.lines).toEqual([]);
  });

  it("stay the user's to ask for where the server refuses one", async () => {
    const device = both();
    const accept = device.setIrqs.bind(device);
    device.setIrqs = (request) => {
      if (request.index !== REQ) return accept(request);
      throw new VfmigError("ERR_VFMIG_IRQ_REQUEST", "not this one", { layer: "testkit" });
    };
    await using all = await rig(testIo, device);
    expect([all.events.has(ERR), all.events.has(REQ)]).toEqual([true, false]);
    expect(all.told.lines).toEqual(["warn"]);
  });

  it("cannot be armed over a connection that has ended, and leave nothing open", async () => {
    await using all = await rig(testIo, both());
    await all.client.close();
    all.events.close();
    await all.all.clientsGone(1);
    const before = all.all.openFds();
    const { irqs } = all.client.info;
    const parts = { io: all.all.io, device: "vf0", irqs, logger: logTo(all.told) };
    const set = (request: IrqRequest): Promise<void> => all.client.setIrqs(request);
    await expect(HostEvents.arm({ ...parts, set })).rejects.toMatchObject({
      code: "ERR_VFMIG_VFIO_USER_CLOSED",
    });
    expect(all.all.openFds()).toBe(before);
  });

  it("leave nothing open when they are closed", async () => {
    await using all = await rig(testIo, both());
    const { client, events, all: harness } = all;
    events.close();
    const before = harness.openFds();
    const { irqs } = client.info;
    const parts = { io: harness.io, device: "vf0", irqs, logger: logTo(all.told) };
    const again = await HostEvents.arm({ ...parts, set: (request) => client.setIrqs(request) });
    expect(harness.openFds()).toBeGreaterThanOrEqual(before + 2);
    again.close();
    // The server has put its ends of these in the place of the first ones.
    expect(harness.openFds()).toBe(before);
  });
});
