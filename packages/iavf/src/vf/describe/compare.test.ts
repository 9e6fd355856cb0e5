import type { DeviceDescription } from "@vfmig/core";
import { describe, expect, test } from "vitest";
import type { VlanCaps } from "../../virtchnl/vlan-v2.ts";
import { compare } from "./compare.ts";
import type { Offers } from "./offers.ts";

const vlan: VlanCaps = {
  filtering: { outer: 0, inner: 0x1 },
  filteringInit: 1,
  maxFilters: 8,
  stripping: { outer: 0, inner: 0x8000_0101 },
  insertion: { outer: 0, inner: 0x8000_0101 },
  offloadInit: 1,
  ethertypeMatch: 0,
};

const offers: Offers = {
  queuePairs: 4,
  pairsOnRequest: 8,
  vectors: 5,
  maxFrame: 9728,
  capabilities: ["L2", "RSS_PF", "VLAN_V2"],
  rssKeySize: 52,
  rssLutSize: 64,
  vlan,
  rxFormats: [1, 2],
  policy: { trusted: false, mac: "02:00:00:00:00:0a", ownMacs: true, macs: 17, vlans: 16 },
};

type Uses = Partial<Offers> & Readonly<Record<string, unknown>>;

function source(uses: Uses = {}): DeviceDescription {
  return {
    driver: { name: "e810-vf", version: "0.1.0" },
    state: { version: 1, reads: [1] },
    device: { vendor: 0x8086, device: 0x1889 },
    offers: {},
    uses: { bar0Size: 0x2_0000, ...offers, macs: ["02:00:00:00:00:0a"], vlans: 0, ...uses },
  };
}

function target(changed: Readonly<Record<string, unknown>> = {}): DeviceDescription {
  return { ...source(), offers: { bar0Size: 0x2_0000, ...offers, ...changed }, uses: {} };
}

const fields = (a: DeviceDescription, b: DeviceDescription): string[] =>
  compare(a, b).map(({ field }) => field);

const untrusted = offers.policy;
const manyMacs = Array.from({ length: 18 }, (_, n) => `03:00:00:00:00:${n + 10}`);

describe("two hosts that differ", () => {
  test("in nothing, or in more on the target's side, have no reason against a move", () => {
    expect(fields(source(), target())).toEqual([]);
    const more = {
      queuePairs: 16,
      vectors: 17,
      maxFrame: 0,
      capabilities: [...offers.capabilities, "CRC"],
      rxFormats: [1, 2, 22],
      vlan: { ...vlan, maxFilters: 4096, filtering: { outer: 7, inner: 0x1 }, ethertypeMatch: 1 },
    };
    expect(fields(source(), target(more))).toEqual([]);
  });

  test.each<readonly [string, DeviceDescription, DeviceDescription]>([
    ["bar0Size", source({ bar0Size: 0x1_0000 }), target()],
    ["offers", source(), target({ queuePairs: "four" })],
    [
      "uses.flow director (ADD_FDIR_FILTER)",
      source({ uncarried: ["flow director (ADD_FDIR_FILTER)"] }),
      target(),
    ],
    ["queues.pairs", source({ queuePairs: 9 }), target()],
    ["vectors", source({ vectors: 6 }), target()],
    ["maxFrame", source({ maxFrame: 0 }), target()],
    ["maxFrame", source(), target({ maxFrame: 9724 })],
    ["capabilities.USO", source({ capabilities: ["USO"] }), target()],
    ["rss.keySize", source(), target({ rssKeySize: 40 })],
    ["rss.lutSize", source(), target({ rssLutSize: 512 })],
    ["rxFormats", source(), target({ rxFormats: [1] })],
    ["vlan", source(), target({ vlan: undefined })],
    [
      "vlan.filtering.inner",
      source(),
      target({ vlan: { ...vlan, filtering: { outer: 7, inner: 0 } } }),
    ],
    [
      "vlan.stripping.inner",
      source(),
      target({ vlan: { ...vlan, stripping: { outer: 0, inner: 1 } } }),
    ],
    [
      "vlan.insertion.inner",
      source(),
      target({ vlan: { ...vlan, insertion: { outer: 0, inner: 1 } } }),
    ],
    ["vlan.maxFilters", source(), target({ vlan: { ...vlan, maxFilters: 7 } })],
    ["vlan.filteringInit", source(), target({ vlan: { ...vlan, filteringInit: 7 } })],
    ["vlan.offloadInit", source(), target({ vlan: { ...vlan, offloadInit: 2 } })],
    ["vlan.ethertypeMatch", source({ vlan: { ...vlan, ethertypeMatch: 1 } }), target()],
    [
      "policy.mac",
      source(),
      target({ policy: { ...untrusted, mac: "02:00:00:00:00:77", ownMacs: false } }),
    ],
    ["policy.macs", source({ macs: manyMacs }), target()],
    ["policy.vlans", source({ vlans: 17 }), target()],
  ])("in %s have a reason of that name, with what to do", (field, from, to) => {
    const [reason, ...others] = compare(from, to);
    expect(reason?.field).toBe(field);
    expect(reason?.reason.length).toBeGreaterThan(30);
    expect(others).toEqual([]);
  });

  test("in trust have no reason where the target's trusts the VF, or was not asked", () => {
    const use = source({ macs: manyMacs, vlans: 100 });
    expect(fields(use, target({ policy: { ...untrusted, trusted: true } }))).toEqual([]);
    expect(fields(use, target({ policy: undefined }))).toEqual([]);
  });

  test("are not compared by what an idle source does not use", () => {
    const idle = { ...source(), uses: { bar0Size: 0x2_0000, uncarried: [], macs: [], vlans: 0 } };
    expect(fields(idle, target({ queuePairs: 1, capabilities: [] }))).toEqual([]);
  });
});
