import {
  compose,
  defineSubDriver,
  type MmapArea,
  PCI_REGION,
  type RegionFacet,
  type SubDriverContext,
} from "@vfmig/core";
import { describe, expect, test } from "vitest";
import { createManualClock } from "../clock/manual-clock.ts";
import { createI40eVfModel } from "../models/i40e-vf/i40e-vf-model.ts";
import { createLoosePort } from "../wire/index.ts";
import { withMappableRegions } from "./mappable-device.ts";
import { createMappingUser, type MappingManners, type MappingUser } from "./mapping-user.ts";

const PAGE = 0x1000;
const TAIL = 0;
const OTHER = PAGE;
const ALL: MmapArea = { offset: 0, size: 0x1_0000 };
const REST: MmapArea = { offset: PAGE, size: ALL.size - PAGE };
const word = new Uint8Array(4);

/** A device whose sub-driver can take the page of Tx tails back. */
async function world(manners: MappingManners) {
  const clock = createManualClock();
  const { port } = createLoosePort(clock);
  const mac = "02:00:00:00:00:0a";
  const model = createI40eVfModel({ name: "vf", mac, vsiId: 1, port, clock });
  const base = withMappableRegions(model.device, [PCI_REGION.BAR0]);
  let regions: SubDriverContext["regions"] | undefined;
  const facet: RegionFacet = {
    index: PCI_REGION.BAR0,
    adjustable: true,
    trapped: [],
    read: () => undefined,
    write: () => undefined,
  };
  const driver = defineSubDriver({
    name: "any",
    version: "1.0.0",
    apiVersion: "^1.0.0",
    matches: [],
    privileges: [],
    capabilities: {},
    attach: (context) => {
      ({ regions } = context);
      return { regions: [facet], close: () => Promise.resolve() };
    },
  });
  const device = await compose(base, driver, { clock });
  const user = createMappingUser({ device, hardware: model.device, clock, manners, lateMs: 20 });
  if (regions === undefined) throw new Error("not attached");
  const trap = async (): Promise<string> => {
    const page = { offset: TAIL, size: PAGE };
    try {
      await regions?.trap(PCI_REGION.BAR0, [page]);
      return "done";
    } catch (error) {
      return String((error as { code: unknown }).code);
    }
  };
  return { clock, device, user, trap };
}

function ways(user: MappingUser): readonly [direct: number, messages: number] {
  return [user.direct, user.messages(PCI_REGION.BAR0)];
}

describe("a user that maps a device's regions", () => {
  test("reaches the hardware by them, past the device; all else is a message", async () => {
    const { user } = await world("prompt");
    expect(user.mapped(PCI_REGION.BAR0)).toEqual([ALL]);
    user.writeRegion(PCI_REGION.BAR0, TAIL, Uint8Array.of(9, 0, 0, 0));
    user.readRegion(PCI_REGION.BAR0, TAIL, word);
    expect([word[0], ways(user)]).toEqual([9, [2, 0]]);
    user.readRegion(PCI_REGION.CONFIG, 0, word);
    expect([ways(user), user.messages(PCI_REGION.CONFIG, 0)]).toEqual([[2, 0], 1]);
  });

  test("lets go in its next turn where it is asked to, and says messages from then on", async () => {
    const { user, trap, clock } = await world("prompt");
    const trapped = trap();
    user.writeRegion(PCI_REGION.BAR0, TAIL, word);
    expect(ways(user)).toEqual([1, 0]);
    clock.runSoon();
    expect(await trapped).toBe("done");
    expect(user.mapped(PCI_REGION.BAR0)).toEqual([REST]);
    user.writeRegion(PCI_REGION.BAR0, TAIL, word);
    user.writeRegion(PCI_REGION.BAR0, OTHER, word);
    // An access across a border is no access of one mapping.
    user.writeRegion(PCI_REGION.BAR0, PAGE - 2, word);
    expect([ways(user), user.messages(PCI_REGION.BAR0, OTHER)]).toEqual([[2, 2], 0]);
    user.clearCounts();
    expect(ways(user)).toEqual([0, 0]);
  });

  test("that is late is waited for, and one that keeps what it has is named", async () => {
    const late = await world("late");
    const trapped = late.trap();
    late.clock.advance(19);
    expect(late.user.mapped(PCI_REGION.BAR0)).toEqual([ALL]);
    late.clock.advance(1);
    expect(await trapped).toBe("done");
    const never = await world("never");
    const refused = never.trap();
    never.clock.advance(5000);
    expect(await refused).toBe("ERR_VFMIG_TRAP_TIMEOUT");
    expect(never.user.mapped(PCI_REGION.BAR0)).toEqual([ALL]);
  });

  test("that is deaf is in the way of a trap, until it is gone", async () => {
    const { user, trap, device } = await world("deaf");
    expect(await trap()).toBe("ERR_VFMIG_MAPPING_CONFLICT");
    const second = createMappingUser({
      device,
      hardware: device,
      clock: createManualClock(),
      name: "a second user",
    });
    expect(second.mapped(PCI_REGION.BAR0)).toEqual([ALL]);
    await user[Symbol.asyncDispose]();
    expect(user.mapped(PCI_REGION.BAR0)).toEqual([]);
  });
});
