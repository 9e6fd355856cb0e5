import { expect, test } from "vitest";
import type { FakeIo } from "../fake/index.ts";
import type { NativeIo } from "../native-io.ts";
import { createLinuxIo } from "../native/linux-io.ts";
import { arpProbe, bringUp, ownAddress } from "../testing/host-interface.ts";
import { bytesOf, describeNativeIo, failure, turns, type Rig } from "../testing/native-io-rig.ts";

const isFake = (io: NativeIo): io is FakeIo => "tapInterface" in io;

/** Why this process may not have TAPs; undefined where it may. */
const refusal = failure(() => {
  const io = createLinuxIo();
  io.close(io.openTap("vfmig%d").fd);
});

/** A TAP, or undefined after it was shown that it is refused for a reason that can be understood. */
function openTap(rig: Rig): { readonly fd: number; readonly name: string } | undefined {
  if (!isFake(rig.io) && refusal !== undefined) {
    expect(["EPERM", "EACCES", "ENOENT", "ENODEV", "ENXIO"]).toContain(refusal);
    expect(failure(() => rig.io.openTap("vfmig%d"))).toBe(refusal);
    return undefined;
  }
  const tap = rig.io.openTap("vfmig%d");
  rig.own(tap.fd);
  return tap;
}

function up(io: NativeIo, name: string): void {
  if (isFake(io)) Object.assign(io.tapInterface(name) ?? {}, { up: true });
  else bringUp(io, name);
}

const frame = new Uint8Array(60).fill(2);

describeNativeIo("TAPs", (rig) => {
  test("get a number, and are devices that nobody else can open meanwhile", () => {
    const tap = openTap(rig);
    if (tap === undefined) return;
    expect(tap.name).toMatch(/^vfmig\d+$/u);
    expect(rig.io.status(tap.fd).kind).toBe("device");
    expect(failure(() => rig.io.openTap(tap.name))).toBe("EBUSY");
  });

  test("go with their descriptor", () => {
    if (openTap(rig) === undefined) return;
    const first = rig.io.openTap("vfmigx");
    rig.io.close(first.fd);
    rig.io.close(rig.io.openTap("vfmigx").fd);
  });

  test("take frames while the interface is up, and no runts", () => {
    const tap = openTap(rig);
    if (tap === undefined) return;
    expect(failure(() => rig.io.write(tap.fd, frame, 0, 60))).toBe("EIO");
    up(rig.io, tap.name);
    expect(rig.io.write(tap.fd, frame, 0, 60)).toBe(60);
    expect(failure(() => rig.io.write(tap.fd, frame, 0, 13))).toBe("EINVAL");
  });

  test("give nothing where nothing was sent", () => {
    const tap = openTap(rig);
    if (tap === undefined) return;
    expect(rig.io.read(tap.fd, new Uint8Array(100), 0, 100)).toBe(-1);
    expect(rig.io.waitReadable(tap.fd, 0)).toBe(false);
  });

  test.each(["", "sixteen_bytes_xx", "a\0b"])("refuse %j as a name", (name) => {
    expect(failure(() => rig.io.openTap(name))).toBe("EINVAL");
  });

  test("refuse a bad range", () => {
    const tap = openTap(rig);
    if (tap === undefined) return;
    const short = new Uint8Array(8);
    const calls = [() => rig.io.read(tap.fd, short, 4, 5), () => rig.io.write(tap.fd, short, 4, 5)];
    expect(calls.map(failure)).toEqual(calls.map(() => "ERR_VFMIG_BUFFER_RANGE"));
  });
});

test("a TAP of the fake carries whole frames, and wakes its watch", async () => {
  const { createFakeIo } = await import("../fake/index.ts");
  const io = createFakeIo();
  const tap = io.openTap("t%d");
  const host = io.tapInterface(tap.name);
  const got: number[][] = [];
  using watch = io.watch(tap.fd, () => {
    const into = new Uint8Array(4);
    got.push([...into.subarray(0, io.read(tap.fd, into, 0, 4))]);
  });
  expect(watch.fd).toBe(tap.fd);
  expect(host?.send(bytesOf(1, 2, 3))).toBe(false);
  up(io, tap.name);
  host?.send(bytesOf(1, 2, 3));
  host?.send(bytesOf(4, 5, 6, 7, 8));
  await turns();
  expect(got).toEqual([
    [1, 2, 3],
    [4, 5, 6, 7],
  ]);
  io.write(tap.fd, frame, 0, 60);
  expect(host?.written).toEqual([frame]);
});

const address = ownAddress();

test.skipIf(refusal !== undefined || address === undefined)(
  "a TAP of Linux carries frames between this process and the host",
  () => {
    const io = createLinuxIo();
    const tap = io.openTap("vfmig%d");
    bringUp(io, tap.name);
    const mac = [2, 0, 0, 0, 0, 9];
    const probe = arpProbe(mac, address ?? []);
    io.write(tap.fd, probe, 0, probe.length);
    const into = new Uint8Array(2048);
    // The host has things of its own to say on a new interface.
    for (;;) {
      expect(io.waitReadable(tap.fd, 5_000_000)).toBe(true);
      const length = io.read(tap.fd, into, 0, into.length);
      if (length >= 42 && into[12] === 8 && into[13] === 6 && into[21] === 2) break;
    }
    expect([...into.subarray(0, 6)]).toEqual(mac);
    expect([...into.subarray(28, 32)]).toEqual(address);
    io.close(tap.fd);
  },
);
