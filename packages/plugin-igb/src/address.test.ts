import { describe, expect, it } from "vitest";
import { header, isAck, OPCODE } from "./mailbox/messages.ts";
import { facets, move } from "./testing/move.ts";
import { soundNow } from "./testing/sound.ts";
import { GUEST_MAC, World } from "./testing/world.ts";

const OTHER = "02:00:00:00:00:0c";

function filters(world: World): (string | undefined)[] {
  return world.nic.pf.map(({ filter }) => filter);
}

/** Whether the PF, asked for a reset by the guest, gives it an address. */
async function hearsAnAddress(world: World): Promise<boolean> {
  const request = world.driver.request(header(OPCODE.VF_RESET), () => new Uint8Array(0));
  const reply = await world.settle(request);
  return isAck(new DataView(reply.buffer).getUint32(0, true));
}

describe("a PF that does not answer the guest", () => {
  it("is told of by the name of what was asked, and the guest can ask again", async () => {
    const world = await World.create({ options: { pfTimeoutMs: 20 } });
    world.nic.deaf = true;
    const vlan = (): Uint8Array => Uint8Array.of(9, 0, 0, 0);
    await expect(
      world.settle(world.driver.request(header(OPCODE.SET_VLAN, 1), vlan)),
    ).rejects.toThrow(/request/u);
    expect(world.warnings.join()).toMatch(
      /the guest's SET_VLAN was not answered ERR_VFMIG_PF_SILENT/u,
    );
    world.nic.deaf = false;
    await world.settle(world.driver.request(header(OPCODE.SET_VLAN, 1), vlan));
    expect(world.nic.pf[0]?.vlans).toEqual(new Set([9]));
    soundNow(world);
  });
});

describe("the guest's address", () => {
  it("is on no VF between the two, so that frames never go to both", async () => {
    const world = await World.create();
    const seen: (string | undefined)[][] = [];
    await move(world, { between: () => seen.push(filters(world)) });
    expect(seen).toEqual([[undefined, undefined]]);
    expect(filters(world)).toEqual([undefined, GUEST_MAC]);
  });

  it("is taken back where the move fails after the source gave it up", async () => {
    const world = await World.create();
    world.traffic(40);
    const fails = (): void => {
      throw new Error("the stream broke");
    };
    await expect(move(world, { between: fails })).rejects.toThrow("the stream broke");
    expect(filters(world)).toEqual([GUEST_MAC, undefined]);
    soundNow(world);
    await move(world);
    soundNow(world);
  });

  it("is taken back where the target's PF refuses it, and the target keeps nothing", async () => {
    const world = await World.create();
    const refuse = (): void => void world.nic.pf[1]?.refuses.add(OPCODE.SET_MAC_ADDR);
    await expect(move(world, { between: refuse })).rejects.toMatchObject({
      code: "ERR_VFMIG_VF_MAC",
    });
    expect(filters(world)).toEqual([GUEST_MAC, undefined]);
    soundNow(world);
  });

  it("is refused with what the target's administrator has set, where that came after the comparison", async () => {
    const world = await World.create();
    await expect(move(world, { between: () => world.nic.pf[1]?.pin(OTHER) })).rejects.toMatchObject(
      {
        code: "ERR_VFMIG_VF_MAC",
        message: expect.stringContaining(
          `the guest's address ${GUEST_MAC} (its administrator has set ${OTHER}); set that address`,
        ) as string,
      },
    );
    expect(filters(world)).toEqual([GUEST_MAC, OTHER]);
    soundNow(world);
  });

  it("goes to a VF that has it already and may not change it", async () => {
    const world = await World.create({ prepare: ({ nic }) => nic.pf[1]?.pin(GUEST_MAC) });
    await move(world);
    expect(filters(world)).toEqual([undefined, GUEST_MAC]);
    soundNow(world);
  });

  it("is none where no driver has started, before a move and after it", async () => {
    const world = await World.create({ start: false });
    await move(world, { blackout: 0 });
    expect(filters(world)).toEqual([undefined, undefined]);
    await world.settle(world.driver.start());
    expect(filters(world)).toEqual([undefined, GUEST_MAC]);
    soundNow(world);
  });

  it("stays where it is while the function is only paused", async () => {
    const world = await World.create();
    const { migration } = facets(world.device);
    await world.settle(migration.setState("stop"));
    expect(filters(world)).toEqual([GUEST_MAC, undefined]);
    await world.settle(migration.setState("running"));
    soundNow(world);
  });

  it("is known not to fit before anything stops, where the target's is pinned", async () => {
    const world = await World.create({ prepare: ({ nic }) => nic.pf[1]?.pin(OTHER) });
    const source = await world.settle(world.device.description.describe());
    const reasons = await world.settle(world.deviceAt(1).description.compare(source));
    expect(reasons).toMatchObject([{ field: "mac", source: GUEST_MAC, target: OTHER }]);
    await expect(move(world)).rejects.toMatchObject({ code: "ERR_VFMIG_MIGRATION_INCOMPATIBLE" });
    soundNow(world);
  });

  it("goes to a VF that has another one, where that VF is trusted", async () => {
    const world = await World.create({
      prepare({ nic }) {
        nic.pf[1]?.pin(OTHER);
        if (nic.pf[1] !== undefined) nic.pf[1].trusted = true;
      },
    });
    const source = await world.settle(world.device.description.describe());
    expect(await world.settle(world.deviceAt(1).description.compare(source))).toEqual([]);
    await move(world);
    soundNow(world);
    // The guest's driver, asked to begin anew, hears of the address that its first PF would have given.
    await world.settle(world.driver.resetFunction());
    expect(world.driver.mac).toBe(GUEST_MAC);
    soundNow(world);
  });

  it("is the guest's to choose after a move, too, where its PF gave none and the next one gives another later", async () => {
    const world = await World.create();
    await move(world);
    const [, target] = world.nic.pf;
    if (target === undefined) throw new Error("there is no second PF");
    target.pin(OTHER);
    target.trusted = true;
    expect(await hearsAnAddress(world)).toBe(false);
    await world.settle(world.driver.resetFunction());
    expect(filters(world)).toEqual([undefined, GUEST_MAC]);
    soundNow(world);
  });

  it("is heard anew at each reset where the guest has not moved", async () => {
    const world = await World.create();
    world.nic.pf[0]?.pin(OTHER);
    expect(await hearsAnAddress(world)).toBe(true);
    world.nic.pf[0]?.pin(undefined);
    expect(await hearsAnAddress(world)).toBe(false);
  });

  it("goes from a VF whose administrator pinned it, with a word to that administrator", async () => {
    const world = await World.create({ prepare: ({ nic }) => nic.pf[0]?.pin(GUEST_MAC) });
    expect(world.driver.mac).toBe(GUEST_MAC);
    await move(world);
    expect(world.warnings.join()).toMatch(/mac 00:00:00:00:00:00/u);
    soundNow(world);
    await world.settle(world.driver.resetFunction());
    expect(world.driver.mac).toBe(GUEST_MAC);
    soundNow(world);
  });

  it("is not its guest's any more where that resets its VF and the next PF pins another, and the log says so", async () => {
    const world = await World.create({ prepare: ({ nic }) => nic.pf[0]?.pin(GUEST_MAC) });
    await move(world);
    world.nic.pf[1]?.pin(OTHER);
    await expect(world.settle(world.driver.resetFunction())).rejects.toThrow(
      /refuses the address/u,
    );
    expect(world.warnings.join()).toContain(
      `the PF does not let the guest have its address ${GUEST_MAC} again ${OTHER}`,
    );
  });

  it("leaves the PF's filters with a reset of the device, and with its end", async () => {
    const world = await World.create();
    await world.settle(world.driver.remove());
    await expect(world.driver.start()).rejects.toThrow("start of a driver that is or was off");
    expect(filters(world)[0]).toBe(GUEST_MAC);
    await world.settle(world.device.reset());
    expect(filters(world)[0]).toBeUndefined();
    const other = await World.create();
    await other.settle(other.device[Symbol.asyncDispose]());
    expect(filters(other)[0]).toBeUndefined();
  });

  it("may stay in the filters of a PF that does not answer a reset, of which the log tells", async () => {
    const world = await World.create({ options: { pfTimeoutMs: 20 } });
    await world.settle(world.driver.remove());
    world.nic.deaf = true;
    await world.settle(world.device.reset());
    expect(world.warnings.join()).toMatch(/did not take notice of the VF's reset.*may keep/u);
    expect(filters(world)[0]).toBe(GUEST_MAC);
    world.nic.deaf = false;
    await world.settle(world.device.reset());
    expect(filters(world)[0]).toBeUndefined();
  });

  it("cannot be given up to a PF that does not answer: the guest keeps its device", async () => {
    const world = await World.create({ options: { pfTimeoutMs: 20 } });
    const { migration } = facets(world.device);
    await world.settle(migration.setState("stop"));
    world.nic.deaf = true;
    await expect(world.settle(migration.setState("stop-copy"))).rejects.toMatchObject({
      code: "ERR_VFMIG_PF_SILENT",
    });
    world.nic.deaf = false;
    await world.settle(migration.setState("running"));
    expect(filters(world)).toEqual([GUEST_MAC, undefined]);
    soundNow(world);
  });
});
