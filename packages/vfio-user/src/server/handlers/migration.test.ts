import { Harness } from "../../testing/harness.ts";
import { BAR_BYTES, Gate } from "../../testing/memory-device.ts";
import { join, u32, u64 } from "../../testing/raw-peer.ts";
import {
  EINVAL,
  GET,
  PROBE,
  SET,
  dmaMap,
  errno,
  regionRead,
  regionWrite,
  setState,
} from "../../testing/requests.ts";
import { TEST_IOS } from "../../testing/test-io.ts";
import { describe, expect, it } from "vitest";

describe.each(TEST_IOS)("migration through a vfio-user server $name", (testIo) => {
  it("answers probes by echo where the feature and its direction exist", async () => {
    await using all = Harness.of(testIo);
    const peer = await all.negotiated();
    for (const flags of [1 | GET, 2 | GET | SET, 6 | SET, 7 | SET, 8 | GET, 9 | GET, 1]) {
      const request = u32(8, flags | PROBE);
      peer.command(1, 16, request);
      expect((await peer.reply(1)).payload).toEqual(request);
    }
    for (const [flags, expected] of [
      [1 | SET, EINVAL],
      [6 | GET, EINVAL],
      [0 | SET, 25],
      [10 | SET, 25],
      [0xffff | GET, 25],
    ] as const) {
      peer.command(2, 16, u32(8, flags | PROBE));
      expect(await errno(peer, 2)).toBe(expected);
    }
    peer.close();
  });

  it("moves the device's state by messages", async () => {
    await using all = Harness.of(testIo);
    const peer = await all.negotiated();
    peer.command(1, 16, u32(16, 1 | GET));
    expect((await peer.reply(1)).payload).toEqual(join(u32(16, 1 | GET), u64(7)));
    all.device.bar.fill(0xab);
    peer.command(2, 16, setState(3));
    expect((await peer.reply(2)).payload).toEqual(join(u32(16, 2 | SET), u32(3, 0xffff_ffff)));
    peer.command(3, 16, u32(16, 9 | GET));
    expect((await peer.reply(3)).payload).toEqual(join(u32(16, 9 | GET), u64(BAR_BYTES)));
    const chunks: Uint8Array[] = [];
    for (let id = 4; ; id += 1) {
      // QEMU's branch pads its request to the full size.
      peer.command(id, 17, join(u32(3008, 3000), new Uint8Array(3000)));
      const { payload } = await peer.reply(id);
      expect(payload).toHaveLength(3008);
      const got = new DataView(payload.buffer).getUint32(4, true);
      expect(payload.subarray(0, 8)).toEqual(u32(8 + got, got));
      if (got === 0) break;
      chunks.push(payload.slice(8, 8 + got));
    }
    const state = join(...chunks);
    expect(state).toEqual(all.device.bar);
    all.device.bar.fill(0);
    peer.command(50, 16, setState(4));
    peer.command(51, 18, join(u32(8 + 5000, 5000), state.subarray(0, 5000)));
    peer.command(52, 18, join(u32(8 + 3192, 3192), state.subarray(5000)));
    peer.command(53, 16, setState(1));
    peer.command(54, 16, u32(16, 2 | GET));
    for (const id of [50, 51, 52, 53]) expect(await errno(peer, id)).toBe(0);
    expect((await peer.reply(54)).payload.subarray(8, 12)).toEqual(u32(1));
    expect(all.device.bar).toEqual(state);
    peer.command(60, 19, u32(24, 0, 0, 0, 0, 0));
    expect((await peer.reply(60)).payload).toEqual(join(u32(24, 1), u64(11, 22)));
    peer.close();
  });

  it.each([
    ["a state that does not exist", 16, setState(8), EINVAL],
    ["the state ERROR", 16, setState(0), EINVAL],
    ["a state cut short", 16, join(u32(16, 2 | SET), new Uint8Array(3)), EINVAL],
    ["data outside a session", 17, u32(16, 8), EINVAL],
    ["data written outside a session", 18, u32(9, 1, 1), EINVAL],
    ["more data than a message holds", 17, u32(2_000_008, 2_000_000), EINVAL],
    ["a read whose argsz is too small", 17, u32(8, 100), EINVAL],
    ["a write shorter than it says", 18, u32(108, 100), EINVAL],
  ])("refuses %s", async (_name, command, payload, expected) => {
    await using all = Harness.of(testIo);
    const peer = await all.negotiated();
    peer.command(1, command, payload);
    expect(await errno(peer, 1)).toBe(expected);
    peer.close();
  });

  it("serves accesses, maps and interrupts while a state change runs; a later change waits", async () => {
    await using all = Harness.of(testIo);
    const peer = await all.negotiated();
    const gate = new Gate();
    all.device.migration.gate = gate;
    peer.command(1, 16, setState(1));
    peer.command(2, 16, setState(2));
    peer.command(3, 16, u32(16, 2 | GET));
    peer.command(4, 10, regionWrite(0, Uint8Array.of(6)));
    peer.command(5, 2, dmaMap(0, 4096));
    peer.command(6, 8, u32(20, 0x21, 2, 0, 0));
    peer.command(7, 9, regionRead(0, 1));
    for (const id of [4, 5, 6]) expect(await errno(peer, id)).toBe(0);
    expect((await peer.reply(7)).payload.at(-1)).toBe(6);
    expect(peer.replies).toEqual([]);
    expect(all.device.migration.walked).toEqual([]);
    gate.open();
    for (const id of [1, 2, 3]) expect(await errno(peer, id)).toBe(0);
    expect(all.device.migration.walked).toEqual(["stop", "running"]);
    peer.close();
  });

  it("lets a reset cancel the state change that runs and those that wait; later ones wait for it", async () => {
    await using all = Harness.of(testIo);
    const peer = await all.negotiated();
    all.device.migration.gate = new Gate();
    peer.command(1, 16, setState(1));
    peer.command(2, 16, setState(3));
    peer.command(3, 9, regionRead(0, 1));
    expect(await errno(peer, 3)).toBe(0);
    all.device.resetGate = new Gate();
    peer.command(4, 13);
    expect(await errno(peer, 1)).toBe(125);
    expect(await errno(peer, 2)).toBe(125);
    all.device.migration.gate = undefined;
    peer.command(5, 16, setState(1));
    peer.command(6, 9, regionRead(0, 1));
    expect(await errno(peer, 6)).toBe(0);
    expect(all.device.migration.walked).toEqual([]);
    all.device.resetGate.open();
    expect(await errno(peer, 4)).toBe(0);
    expect(await errno(peer, 5)).toBe(0);
    expect(all.device.migration.walked).toEqual(["stop"]);
    peer.close();
  });
});
