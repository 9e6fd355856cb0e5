import { describe, expect, it } from "vitest";
import { FLAG, header, MAC_INFO, OPCODE } from "./mailbox/messages.ts";
import { MAILBOX, QUEUE, REGISTER } from "./registers/registers.ts";
import { read, write } from "./testing/guest-registers.ts";
import { move } from "./testing/move.ts";
import { World } from "./testing/world.ts";

const VLAN_ADD = header(OPCODE.SET_VLAN, 1);
const MAC_ADD = header(OPCODE.SET_MAC_ADDR, MAC_INFO.ADD);
const MAC_CLEAR = header(OPCODE.SET_MAC_ADDR, MAC_INFO.CLEAR);

function body(...dwords: readonly number[]): () => Uint8Array {
  const words = Uint32Array.from(dwords);
  return () => new Uint8Array(words.buffer);
}

describe("a move carries", () => {
  it("VLANs, further addresses, group addresses and the frame length to the other VF", async () => {
    const world = await World.create({ driver: { multicast: ["33:33:00:00:00:16"], vlans: [5] } });
    await world.settle(world.driver.request(VLAN_ADD, body(77)));
    await world.settle(world.driver.request(MAC_ADD, body(0x02, 0x0f00)));
    await move(world);
    const [left, here] = world.nic.pf;
    expect(here?.vlans).toEqual(new Set([5, 77]));
    expect(here?.extra).toEqual(new Set(["02:00:00:00:00:0f"]));
    expect(here?.multicast).toEqual([0x160]);
    expect(here?.maxFrame).toBe(1518);
    expect([left?.vlans.size, left?.extra.size, left?.multicast]).toEqual([0, 0, []]);
  });

  it("what was taken back: a VLAN and addresses that are gone do not come again", async () => {
    const world = await World.create({ driver: { vlans: [5, 6] } });
    await world.settle(world.driver.request(header(OPCODE.SET_VLAN, 0), body(5)));
    await world.settle(world.driver.request(MAC_ADD, body(0x02, 0x0f00)));
    await world.settle(world.driver.request(MAC_CLEAR, body(0, 0)));
    await move(world);
    expect(world.nic.pf[1]?.vlans).toEqual(new Set([6]));
    expect(world.nic.pf[1]?.extra).toEqual(new Set());
  });

  it("that the guest takes frames of any group address", async () => {
    const world = await World.create();
    await world.settle(world.driver.request(header(OPCODE.SET_PROMISC, 2), body(0)));
    await move(world);
    expect(world.nic.pf[1]?.promiscuous).toBe(2);
  });

  it("counters, which go on from where they were", async () => {
    const world = await World.create();
    world.traffic(100);
    await move(world, { blackout: 0 });
    const [good, sent] = [read(world, 0x0f10), read(world, 0x0f14)];
    // The announcement is ours, and the device counts it: out, and back to its sender as a broadcast.
    expect(good).toBe(world.taken + 1);
    world.traffic(10);
    world.clock.advance(1);
    expect(read(world, 0x0f10)).toBe(world.taken + 1);
    expect(read(world, 0x0f14) - sent).toBe(10);
  });

  it("heads and tails as the guest knows them, whatever the device's are", async () => {
    const world = await World.create();
    world.traffic(37);
    world.clock.advance(1);
    const before = [REGISTER.RX_QUEUE, REGISTER.TX_QUEUE].map((at) => read(world, at + QUEUE.HEAD));
    expect(before).toEqual([37, 37]);
    await move(world, { blackout: 0 });
    world.clock.advance(1);
    expect(read(world, REGISTER.TX_QUEUE + QUEUE.HEAD)).toBe(57);
    expect(world.nic.vfs[1]?.registers[(REGISTER.TX_QUEUE + QUEUE.HEAD) / 4]).toBe(1);
  });

  it("a request that no PF has heard yet, to the PF of the other VF", async () => {
    const world = await World.create();
    await move(world, {
      stopped() {
        write(world, REGISTER.V2PMAILBOX, MAILBOX.VFU);
        write(world, REGISTER.VMBMEM, VLAN_ADD);
        write(world, REGISTER.VMBMEM + 4, 9);
        write(world, REGISTER.V2PMAILBOX, MAILBOX.REQ);
      },
    });
    await world.settle(Promise.resolve());
    for (let turn = 0; turn < 20; turn++) {
      // oxlint-disable-next-line no-await-in-loop -- promises settle between turns of the clock
      await world.settle(Promise.resolve(), () => {});
      world.clock.advance(0.5);
    }
    expect(world.nic.pf[0]?.vlans).toEqual(new Set());
    expect(world.nic.pf[1]?.vlans).toEqual(new Set([9]));
    expect(read(world, REGISTER.VMBMEM)).toBe((VLAN_ADD | FLAG.CTS | FLAG.ACK) >>> 0);
  });

  it("offload contexts that the guest's driver set once and goes on using", async () => {
    const world = await World.create();
    // Its low half is the offset in memory, which begins at 4 GiB.
    const ring = read(world, REGISTER.TX_QUEUE + QUEUE.BAL);
    const data = new DataView(world.ram.buffer);
    const place = ring;
    data.setUint32(place, 0x1234, true);
    data.setUint32(place + 4, 0, true);
    data.setUint32(place + 8, 0x2020_0000, true);
    data.setUint32(place + 12, 0x10, true);
    // A packet of the driver's own follows in the next slot.
    data.setUint32(place + 16, ring, true);
    data.setUint32(place + 20, 1, true);
    data.setUint32(place + 24, (0x2930_0000 | 60 | 0x0800_0000) >>> 0, true);
    data.setUint32(place + 28, (60 << 14) | 0x10, true);
    write(world, REGISTER.TX_QUEUE + QUEUE.TAIL, 2);
    world.clock.advance(1);
    expect(world.nic.vfs[0]?.contexts).toBe(1);
    const { migration } = world.device;
    await world.settle(migration!.setState("stop"));
    await world.settle(migration!.setState("running"));
    expect(world.nic.vfs[0]?.contexts).toBe(2);
    await move(world, { blackout: 0 });
    expect(world.nic.vfs[1]?.contexts).toBe(1);
  });

  it("what the PF said last, which the guest's driver looks at for its link", async () => {
    const world = await World.create();
    await move(world);
    expect(read(world, REGISTER.VMBMEM) & FLAG.CTS).not.toBe(0);
    world.nic.ping();
    world.clock.advance(1);
    expect(world.driver.linkUp).toBe(true);
    expect(world.faults).toEqual([]);
  });
});
