import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { PCI_IRQ, VfmigError } from "@vfmig/core";
import { createLinuxIo, EventFd } from "@vfmig/linux";
import type { VfioUserClient } from "@vfmig/vfio-user";
import type { DeviceEntry } from "../../serve/configurations.ts";
import { Unsupported, type BedCase, type Figures } from "../inside/bed-case.ts";
import { folderOf, restoreNic, writeSlowly } from "../inside/binding.ts";
import { DEVICES } from "../inside/devices.ts";
import { serve } from "../inside/serving.ts";
import { Echo } from "../native-speed/echo.ts";
import { EchoGuest } from "../native-speed/guest.ts";

const FRAMES = 200;
/** On their way at once. */
const WINDOW = 8;
const INTERVAL_MS = 10;
const LIMIT_MS = 60_000;

function entry(name: string, address: string, more: object = {}): DeviceEntry {
  return { name, base: { package: "@vfmig/vfio-pci-base", options: { address } }, ...more };
}

/** Lets the client hear when the machine wants its device back; `asked` settles then. */
async function listen(
  client: VfioUserClient,
  stack: DisposableStack,
): Promise<{ readonly asked: Promise<void> }> {
  const io = createLinuxIo();
  const event = stack.use(EventFd.create(io));
  const { promise, resolve } = Promise.withResolvers<void>();
  stack.use(io.watch(event.fd, () => void (event.drain() > 0 && resolve())));
  const data = { kind: "event", events: [event] } as const;
  await client.setIrqs({ index: PCI_IRQ.REQ, start: 0, count: 1, action: "trigger", data });
  return { asked: promise };
}

/** The PF takes its VFs back while both are served, one of them with a client. */
async function takeBack(): Promise<void> {
  const entries = DEVICES.vfs.map((address, index) => entry(`vf${index}`, address));
  await using serving = await serve(entries);
  using stack = new DisposableStack();
  const { host, clients } = serving;
  const [used, unused] = clients;
  assert.ok(used && unused, "both are served");
  await unused[Symbol.asyncDispose]();
  const { asked } = await listen(used, stack);
  const taking = writeSlowly(`${folderOf(DEVICES.pf)}/sriov_numvfs`, "0");
  await Promise.race([asked, taking.ended.then(() => assert.fail("nobody was asked"))]);
  assert.equal(taking.done, false, "the kernel did not wait");
  const vendor = new Uint8Array(2);
  await used.readRegion(7, 0, vendor);
  assert.deepEqual([...vendor], [0x86, 0x80], "the device answers while its client is there");
  await used[Symbol.asyncDispose]();
  await taking.ended;
  for (const device of host.devices) {
    await assert.rejects(device.status(), (error) => {
      assert.ok(VfmigError.is(error), String(error));
      assert.equal(error.code, "ERR_VFMIG_VFIO_GONE", error.message);
      return true;
    });
  }
}

/** A driver sends and receives while another VF takes the place of the one that it uses, and back. */
async function replaceVf(): Promise<Figures> {
  if (!existsSync(`/sys/class/net/${DEVICES.lan.tap}`)) {
    throw new Unsupported("this kernel has no network beyond the NIC");
  }
  const driver = { package: "@vfmig/plugin-igb", options: { quiesceMs: 0 } };
  const [first, second] = DEVICES.vfs;
  const entries = [
    entry("vf", first, { driver }),
    entry("spare", second, { driver, standby: true }),
  ];
  await using serving = await serve(entries);
  await using stack = new AsyncDisposableStack();
  const { host, clients } = serving;
  const [client] = clients;
  assert.ok(client, "the device is served");
  const io = createLinuxIo();
  stack.use(new Echo(io, DEVICES.lan.tap));
  const guest = stack.use(await EchoGuest.start(io, client.device));
  await guest.exchange(FRAMES, WINDOW, LIMIT_MS);
  const windows: number[] = [];
  const counts = { sent: 0, back: 0 };
  for (const name of ["spare", "vf"]) {
    const end = new AbortController();
    const streaming = guest.stream(INTERVAL_MS, end.signal);
    const { outcome, identity } = await host.replace("vf", name);
    end.abort();
    const { sent, back } = await streaming;
    counts.sent += sent;
    counts.back += back;
    windows.push(outcome.windowMs);
    assert.equal(identity.device, name);
    assert.equal(identity.driver?.name, "igb-vf");
    assert.ok(sent > 0, "the driver went on");
    // From here on nothing may be lost.
    await guest.exchange(FRAMES, WINDOW, LIMIT_MS);
  }
  return {
    "window, ms": windows.map(Math.round).join(" and "),
    "frames sent meanwhile": counts.sent,
    "of these came back": counts.back,
  };
}

export const cases: readonly BedCase[] = [
  {
    name: "VFs that their PF takes back are given back: an unused one at once, the other when its client has gone",
    limitSeconds: 200,
    async run() {
      try {
        await takeBack();
      } finally {
        restoreNic();
      }
    },
  },
  {
    name: "a VF is replaced by another of its PF, and back, behind one connection while a driver sends and receives",
    limitSeconds: 300,
    run: replaceVf,
  },
];
