import {
  compose,
  createStateReader,
  createStateWriter,
  PCI_IRQ,
  PCI_REGION,
  type StateHeader,
  type StateRecord,
} from "@vfmig/core";
import { createManualClock } from "@vfmig/testkit";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import igbVf from "./index.ts";
import { header, MAC_INFO, OPCODE } from "./mailbox/messages.ts";
import { QUEUE, REGISTER } from "./registers/registers.ts";
import { type QueuesState, RECORD_TYPES, stateFormat } from "./state/schema.ts";
import { write } from "./testing/guest-registers.ts";
import { facets, move } from "./testing/move.ts";
import { Nic } from "./testing/nic.ts";
import { MAPPED, modeOf, startLog } from "./testing/own-rings.ts";
import { soundAfter } from "./testing/sound.ts";
import { World } from "./testing/world.ts";

/** An operation that no driver of today sends. */
const UNKNOWN = 0x44;

const saved = JSON.parse(
  readFileSync(new URL("testing/fixtures/state-1.json", import.meta.url), "utf8"),
) as { readonly state: string };

/** The saved VF as a stream, with other records in place of its own. */
async function savedWith(change: (record: StateRecord) => StateRecord[]): Promise<Uint8Array> {
  const headers: StateHeader[] = [];
  const records: StateRecord[] = [];
  const reader = createStateReader({
    format: stateFormat,
    onHeader: (found) => void headers.push(found),
    onRecord: (record) => void records.push(...change(record)),
  });
  await reader.write(Buffer.from(saved.state, "base64"));
  const [found] = headers;
  if (found === undefined) throw new Error("the saved state has no header");
  const writer = createStateWriter({ header: found, format: stateFormat, records });
  const parts: Uint8Array[] = [];
  const chunk = new Uint8Array(4096);
  // oxlint-disable-next-line no-await-in-loop -- a stream
  for (let n = await writer.read(chunk); n > 0; n = await writer.read(chunk))
    parts.push(chunk.slice(0, n));
  return Uint8Array.from(Buffer.concat(parts));
}

/** Gives `state` to the VF that no guest has, until the device takes or refuses it. */
async function load(world: World, state: Uint8Array): Promise<void> {
  const { migration } = facets(world.deviceAt(1));
  await world.settle(migration.setState("resuming"));
  await world.settle(migration.writeData(state));
  await world.settle(migration.setState("stop"));
}

describe("a device that is not laid out as an 82576 VF", () => {
  it.each([
    ["BAR0", { size: 0x8000, vectors: 3 }],
    ["MSI-X", { size: 0x4000, vectors: 2 }],
  ])(
    "is refused before anything is touched, with what it has and what it should have: %s",
    async (_what, { size, vectors }) => {
      const clock = createManualClock();
      const [vf] = new Nic({ clock }).vfs;
      if (vf === undefined) throw new Error("the card has no VF");
      const { regions, irqs } = vf.info;
      const info = {
        ...vf.info,
        regions: regions.map((it) => (it.index === PCI_REGION.BAR0 ? { ...it, size } : it)),
        irqs: irqs.map((it) => (it.index === PCI_IRQ.MSIX ? { ...it, count: vectors } : it)),
      };
      await expect(compose(Object.assign(vf, { info }), igbVf, { clock })).rejects.toMatchObject({
        code: "ERR_VFMIG_VF_LAYOUT",
        message: expect.stringContaining(
          `BAR0 has ${size} bytes and MSI-X ${vectors} vectors; an 82576 VF has 16384 and 3`,
        ) as string,
      });
      expect(vf.registers.every((value) => value === 0)).toBe(true);
    },
  );
});

describe("a saved VF that is none", () => {
  it.each(RECORD_TYPES)("is refused without its record %s, which is named", async (type) => {
    const world = await World.create({ start: false });
    const state = await savedWith((record) => (record.type === type ? [] : [record]));
    await expect(load(world, state)).rejects.toMatchObject({
      code: "ERR_VFMIG_VF_STATE",
      message: expect.stringContaining(`no record "${type}"`) as string,
    });
  });

  it.each<[string, "rx" | "tx", Partial<QueuesState["rx"]>, RegExp]>([
    ["has no whole cache lines", "tx", { count: 63 }, /tx queue is none: its ring has 63 descr/u],
    ["is longer than any", "rx", { count: 0xfff8 }, /rx queue is none: its ring has 65528 descr/u],
    ["lies where no device reaches", "rx", { baseHigh: 0x10_0000 }, /rx queue.*beyond/u],
    ["splits headers", "rx", { srrctl: 0x0a00_0002 }, /rx queue.*splits headers/u],
    ["stands outside", "tx", { position: { complete: 64, tail: 0 } }, /tx queue.*outside its 64/u],
    ["ends outside", "rx", { position: { complete: 0, tail: 64 } }, /rx queue.*outside its 64/u],
  ])("is refused where a ring %s", async (_what, name, wrong, reason) => {
    const world = await World.create({ start: false });
    const state = await savedWith((record) => {
      if (record.type !== "queues") return [record];
      const value = record.value as QueuesState;
      return [{ ...record, value: { ...value, [name]: { ...value[name], ...wrong } } }];
    });
    await expect(load(world, state)).rejects.toMatchObject({
      code: "ERR_VFMIG_VF_STATE",
      message: expect.stringMatching(reason) as string,
    });
    expect(world.nic.pf[1]?.filter).toBeUndefined();
    // As a host does with a device whose state was refused.
    await world.settle(world.deviceAt(1).reset());
    await load(world, await savedWith((record) => [record]));
  });

  it("is refused while the PF is silent, and taken afterwards", async () => {
    const world = await World.create({ start: false, options: { pfTimeoutMs: 20 } });
    const state = await savedWith((record) => [record]);
    const { migration } = facets(world.deviceAt(1));
    await world.settle(migration.setState("resuming"));
    world.nic.deaf = true;
    await world.settle(migration.writeData(state));
    await expect(world.settle(migration.setState("stop"))).rejects.toMatchObject({
      code: "ERR_VFMIG_PF_SILENT",
    });
    expect(world.warnings.join()).toMatch(/the state could not be taken; the VF is reset/u);
    world.nic.deaf = false;
    await world.settle(world.deviceAt(1).reset());
    await load(world, state);
    expect(world.nic.pf[1]?.vlans).toEqual(new Set([5]));
  });
});

describe("what the guest has used and nobody can repeat", () => {
  it.each([
    ["an operation of a later driver", header(UNKNOWN), `operation 0x${UNKNOWN.toString(16)}`],
    ["a way to set an address", header(OPCODE.SET_MAC_ADDR, MAC_INFO.ADD + 1), "SET_MAC_ADDR"],
  ])("keeps the device here, by name: %s", async (_what, operation, name) => {
    const prepare = ({ nic }: World): void => void nic.pf[0]?.knows.add(UNKNOWN);
    const world = await World.create({ prepare });
    const body = (): Uint8Array => Uint8Array.of(2, 0, 0, 0, 0, 0x0a, 0, 0);
    await world.settle(world.driver.request(operation, body));
    const source = await world.settle(world.device.description.describe());
    expect(source.uses["uncarried"]).toEqual([name]);
    expect(await world.settle(world.deviceAt(1).description.compare(source))).toMatchObject([
      { field: `uses.${name}`, reason: expect.stringMatching(/reset the VF in the guest/u) },
    ]);
    const { migration } = facets(world.device);
    await world.settle(migration.setState("stop-copy"));
    await expect(world.settle(migration.readData(new Uint8Array(65_536)))).rejects.toMatchObject({
      code: "ERR_VFMIG_VF_FEATURE",
      message: expect.stringContaining(name) as string,
    });
    await world.settle(migration.setState("running"));
    await soundAfter(world);
    // As the reason says.
    await world.settle(world.driver.resetFunction());
    await move(world);
    await soundAfter(world);
  });
});

describe("a stop that is cancelled", () => {
  it("leaves a VF that its guest can start again", async () => {
    const world = await World.create({ options: { pfTimeoutMs: 5000 } });
    world.nic.deaf = true;
    void world.driver
      .request(header(OPCODE.SET_VLAN, 1), () => Uint8Array.of(9, 0, 0, 0))
      .catch(() => {});
    await world.pass(1);
    const { migration } = facets(world.device);
    const stop = migration.setState("stop").catch((error: unknown) => error);
    await world.pass(5);
    world.nic.deaf = false;
    await world.settle(world.device.reset());
    expect(await world.settle(stop)).toMatchObject({ code: "ERR_VFMIG_MIGRATION_CANCELLED" });
    expect(migration.state).toBe("running");
    await world.settle(world.driver.resetFunction());
    await soundAfter(world);
  });
});

describe("a guest that changes its queues while its pages are taken from it", () => {
  it("is refused by what they are then, and has its pages again", async () => {
    const world = await World.create({ ...MAPPED, maps: "late" });
    const at = REGISTER.RX_QUEUE + QUEUE.SRRCTL;
    const before = world.nic.vfs[0]?.registers[at / 4] ?? 0;
    // From the first turn on the user has been asked, and takes its time.
    await startLog(world, () => write(world, at, 0x0a00_0002));
    expect(world.warnings.join()).toMatch(/all memory counts as written.*splits headers/u);
    expect(modeOf(world)).toBe("direct");
    write(world, at, before);
    await world.pass(50);
    expect(world.users[0]?.mapped(PCI_REGION.BAR0)).toEqual([{ offset: 0x1000, size: 0x3000 }]);
    await soundAfter(world);
  });
});
