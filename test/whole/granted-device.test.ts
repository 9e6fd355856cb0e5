import { silentLogger, systemClock } from "@vfmig/core";
import { createVfioPciBase, vfioPciOptions } from "@vfmig/vfio-pci-base";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
// Not public: how the host sends what a base opened, and a kernel to open it from.
import { openGrantChannel, receiveGrant } from "../../packages/host/src/granting/grant-channel.ts";
import { holdGrant } from "../../packages/host/src/granting/held-grant.ts";
import {
  FakeMachine,
  type MachineSettings,
} from "../../packages/vfio-pci-base/src/testing/fake-kernel/machine.ts";

const ADDRESS = "0000:01:10.0";
const WAYS: readonly (readonly [way: string, settings: MachineSettings])[] = [
  ["its group", {}],
  ["iommufd", { iommufd: true }],
];

describe.each(WAYS)("A kernel's device that the host opens by %s", (_way, settings) => {
  let machine: FakeMachine;

  beforeEach(() => {
    machine = new FakeMachine(settings);
    machine.add({ address: ADDRESS, group: 7 });
  });

  afterEach(() => machine[Symbol.dispose]());

  it("is opened by a process that runs already, to which only descriptors go, and then has no other user", async () => {
    const { io, roots } = machine;
    const base = createVfioPciBase({ io, ...roots });
    const context = {
      device: "spare",
      options: vfioPciOptions.parse({ address: ADDRESS }),
      logger: silentLogger,
      clock: systemClock,
      folder: ".",
      runtimeFolder: ".",
    };
    const acquired = await base.acquire(context);
    using channel = openGrantChannel(io);
    const sent = channel.send(acquired);
    for (const fd of Object.values(acquired.fds)) io.close(fd);
    // What the request carries is plain JSON.
    const came = JSON.parse(JSON.stringify(sent)) as typeof sent;
    using held = holdGrant(io, receiveGrant(io, channel.remote, came));
    const device = await base.open({ ...context, grant: held.take() });
    const vendor = new Uint8Array(2);
    device.readRegion(7, 0, vendor);
    expect([...vendor]).toEqual([0x86, 0x80]);
    await expect(base.acquire(context)).rejects.toMatchObject({ code: "ERR_VFMIG_VFIO_BUSY" });
    await device[Symbol.asyncDispose]();
    channel[Symbol.dispose]();
    machine.assertClosed();
  });

  it("is free again where nobody took it over", async () => {
    const { io, roots } = machine;
    const base = createVfioPciBase({ io, ...roots });
    const options = vfioPciOptions.parse({ address: ADDRESS });
    const context = { device: "spare", options, logger: silentLogger, clock: systemClock };
    const folders = { folder: ".", runtimeFolder: "." };
    const acquired = await base.acquire({ ...context, ...folders });
    {
      using channel = openGrantChannel(io);
      const sent = channel.send(acquired);
      for (const fd of Object.values(acquired.fds)) io.close(fd);
      using _held = holdGrant(io, receiveGrant(io, channel.remote, sent));
    }
    machine.assertClosed();
    await using device = await base.open({ ...context, ...folders });
    expect(device.info.identity.pci?.device).toBe(0x10ca);
  });
});
