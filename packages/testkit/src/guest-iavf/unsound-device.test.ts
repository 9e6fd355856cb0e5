import type { VfioDevice } from "@vfmig/core";
import { VF_REGISTER, VIRTCHNL_OP } from "@vfmig/iavf";
import { describe, expect, it } from "vitest";
import { type Rig, newRig, startedOn, udp } from "./testing/guest-rig.ts";

/** Breaks the descriptor memory of a running rig, and gives what the guest says about it. */
async function brokenBy(
  breakIt: (rig: Rig, data: DataView, rings: { tx: number; rx: number }) => void,
): Promise<string | undefined> {
  const rig = await startedOn({ driver: { queuePairs: 1 } });
  // Mailbox: two rings of a page and their buffers; then the Tx ring and its buffers, then the Rx ring.
  const tx = 2 * (4096 + 32 * 4096);
  breakIt(rig, rig.ram.data, { tx, rx: tx + 8192 + 512 * 2048 });
  rig.clock.advance(20_000);
  expect(rig.faults.length).toBeLessThanOrEqual(1);
  if (rig.faults.length > 0) {
    expect(rig.driver.state).toBe("broken");
    expect(rig.driver.send(udp(0x0a, 0x0b, 1))).toBe(false);
  }
  return rig.faults[0]?.kind;
}

/** Raises a vector as a device would. */
function raise(rig: Rig, vector: number): void {
  const control = VF_REGISTER.VFINT_DYN_CTLN1 + 4 * (vector - 1);
  const value = new Uint8Array(4);
  new DataView(value.buffer).setUint32(0, 0x0100_001d, true);
  rig.model.device.writeRegion(0, control, value);
}

describe("what no sound device does", () => {
  it("is noticed in completions that are out of order, changed, or of a strange type", async () => {
    // Frames of 1500 bytes take two descriptors each: slots 1, 3, 5 and 7 end them.
    const afterwards = (slot: number, low: number) =>
      brokenBy((rig, data, { tx }) => {
        for (let n = 0; n < 4; n++) rig.driver.send(udp(0x0a, 0x0b, 1, 1500));
        // The device's turn; the guest's would be the next one.
        rig.clock.runSoon(1);
        data.setUint32(tx + slot * 16 + 8, low, true);
      });
    expect(await afterwards(1, 0x70)).toBe("tx-completion");
    expect(await afterwards(0, 0xf)).toBe("tx-completion");
    expect(await afterwards(1, 0x3)).toBe("tx-completion");
    expect(await afterwards(1, 0xf)).toBeUndefined();
  });

  it("is noticed in received descriptors that were never posted, or cannot be", async () => {
    const received = (slot: number, low: number, high: number) =>
      brokenBy((rig, data, { rx }) => {
        data.setUint32(rx + slot * 32 + 12, high, true);
        data.setUint32(rx + slot * 32 + 8, low, true);
        raise(rig, 1);
      });
    expect(await received(0, 3, 0)).toBe("rx-descriptor");
    expect(await received(0, 3, 2000 << 6)).toBe("rx-descriptor");
    expect(await received(0, 3, 60 << 6)).toBeUndefined();
    // All 511 slots but the last are posted at first.
    expect(await received(511, 3, 60 << 6)).toBe("rx-unposted");
    expect(await received(7, 3, 60 << 6)).toBe("rx-order");
    const silent = brokenBy((_rig, data, { rx }) => {
      data.setUint32(rx + 12, 60 << 6, true);
      data.setUint32(rx + 8, 3, true);
    });
    expect(await silent).toBe("rx-stall");
  });

  it("is noticed when sent frames are never reported", async () => {
    const hang = brokenBy((rig, data, { tx }) => {
      rig.driver.send(udp(0x0a, 0x0b, 1));
      // The device's turn; the guest's would be the next one.
      rig.clock.runSoon(1);
      data.setUint32(tx + 8, 0x70, true);
    });
    expect(await hang).toBe("tx-hang");
  });

  it("is noticed when a request stays unanswered", async () => {
    const rig = await startedOn();
    rig.model.control.setReplyDelay(60_000);
    const asks = Promise.allSettled([
      rig.driver.request(VIRTCHNL_OP.DISABLE_VLAN_STRIPPING, () => new Uint8Array(0)),
      rig.driver.resetFunction(),
    ]);
    rig.clock.advance(20_000);
    expect(rig.faults[0]?.kind).toBe("missing-reply");
    const unanswered = { status: "rejected", reason: rig.faults[0] };
    expect(await asks).toEqual([unanswered, unanswered]);
    const silent = newRig({ model: { pfReplyDelayMs: 60_000 } });
    const started = silent.driver.start();
    silent.clock.advance(20_000);
    await expect(started).rejects.toMatchObject({ kind: "missing-reply" });
  });

  it("is noticed in a device of another kind, and start says so", async () => {
    const rig = newRig({
      wrap: (device) =>
        Object.create(device, {
          info: { value: device.info },
          readRegion: {
            value: (_index: number, _offset: number, into: Uint8Array) => into.fill(0xff),
          },
        }) as VfioDevice,
    });
    await expect(rig.driver.start()).rejects.toMatchObject({
      code: "ERR_VFMIG_GUEST_FAULT",
      kind: "device",
    });
    expect(rig.driver.state).toBe("broken");
  });
});
