import { VfmigError } from "@vfmig/core";
import { createLinuxIo } from "@vfmig/linux";
import { createFakeIo } from "@vfmig/linux/fake";
import { expect, test } from "vitest";
import { createManualClock } from "../clock/manual-clock.ts";
import type { CountingPort } from "./packet-port.ts";
import { openTapPort } from "./tap-port.ts";
import { frameOf } from "./testing/frames.ts";
import { arpProbe, bringUp } from "./testing/host-tap.ts";

function rig() {
  const io = createFakeIo();
  const clock = createManualClock();
  const port = openTapPort({ name: "tap9", io, clock });
  const host = io.tapInterface("tap9");
  if (host === undefined) throw new Error("the interface is missing");
  return { io, clock, port, host };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("a TAP's frames go both ways while the interface is up", async () => {
  const { port, host } = rig();
  host.up = true;
  const got: number[] = [];
  port.attach((frame) => {
    got.push(frame[14] ?? -1, frame.length);
    return "accepted";
  });
  host.send(frameOf(1, 2, 7, 60));
  host.send(frameOf(1, 2, 8, 1514));
  await turn();
  await turn();
  expect(got).toEqual([7, 60, 8, 1514]);
  port.transmit(frameOf(2, 1, 9));
  expect(host.written).toEqual([frameOf(2, 1, 9)]);
  expect(port.counters).toMatchObject({ received: 2, sent: 1 });
  port.close();
});

test("frames for an interface that is down are dropped, until it is up again", () => {
  const { port, host, clock } = rig();
  for (let count = 0; count < 50; count++) port.transmit(frameOf(2, 1));
  host.up = true;
  clock.advance(100);
  port.transmit(frameOf(2, 1, 1));
  expect(host.written).toEqual([frameOf(2, 1, 1)]);
  expect(port.counters).toMatchObject({ sent: 1, absent: 50, failed: 0 });
  port.close();
});

test("an interface that sends is taken to be up at once", async () => {
  const { port, host } = rig();
  port.transmit(frameOf(2, 1));
  host.up = true;
  host.send(frameOf(1, 2));
  await turn();
  await turn();
  port.transmit(frameOf(2, 1, 1));
  expect(port.counters).toMatchObject({ sent: 1, absent: 1 });
  port.close();
});

test("a closed port gives the interface back", () => {
  const { port, io } = rig();
  port.close();
  expect(io.openFds).toBe(0);
  openTapPort({ name: "tap9", io }).close();
});

test("an interface in use, and a name that is none, are refused with what to do", () => {
  const { port, io } = rig();
  expect(() => openTapPort({ name: "tap9", io })).toThrow(/EBUSY.*choose another name/u);
  expect(() => openTapPort({ name: "a-name-too-long-for-it", io })).toThrow(
    expect.objectContaining({ code: "ERR_VFMIG_WIRE_TAP" }),
  );
  port.close();
});

/** A TAP of this machine; undefined after it was shown that the refusal says what to do. */
function realTap(): CountingPort | undefined {
  try {
    return openTapPort({ name: "vfmigtest" });
  } catch (error) {
    if (!VfmigError.is(error)) throw error;
    expect(error.code).toBe("ERR_VFMIG_WIRE_TAP");
    expect(error.message).toMatch(/run as root|load the kernel's tun module/u);
    return undefined;
  }
}

test("a TAP of this machine reaches the host, or says why it cannot be had", async () => {
  const port = realTap();
  const probe = arpProbe([2, 0, 0, 0, 0, 9]);
  if (port === undefined || probe === undefined) return;
  const answered = Promise.withResolvers<number[]>();
  port.attach((frame) => {
    // The host has things of its own to say on a new interface; this is its ARP reply.
    const isReply = frame[12] === 8 && frame[13] === 6 && frame[21] === 2;
    if (isReply) answered.resolve([...frame.subarray(0, 6)]);
    return "accepted";
  });
  bringUp(createLinuxIo(), "vfmigtest");
  port.transmit(probe);
  await expect(answered.promise).resolves.toEqual([2, 0, 0, 0, 0, 9]);
  port.close();
});
