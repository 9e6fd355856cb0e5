import { describe, expect, it } from "vitest";
import { guestRing, type Slot } from "../testing/rings.ts";
import { rxPlace } from "./rx-look.ts";
import { endsInPacket, lookForContexts, txPlace } from "./tx-look.ts";

const NONE: Slot = [];
const DATA = 0x2030_0000;
const EOP = 0x0100_0000;
const RS = 0x0800_0000;
/** One packet in a slot, which asks for a report: waiting, reported, and taken back by igbvf. */
const waiting: Slot = [1, 0, DATA | EOP | RS | 60, 60 << 14];
const reported: Slot = [1, 0, DATA | EOP | RS | 60, (60 << 14) | 1];
const cleaned: Slot = [1, 0, DATA | EOP | RS | 60, 0];
const silent: Slot = [1, 0, DATA | EOP | 60, 60 << 14];
/** The first half of a packet, and a packet that is to have its checksum inserted. */
const part: Slot = [1, 0, DATA | 60, 120 << 14];
const offloaded = (index: number): Slot => [
  1,
  0,
  DATA | EOP | RS | 60,
  (60 << 14) | 0x201 | (index << 4),
];
const context = (index: number, mark: number): Slot => [mark, 0, 0x2020_0000, index << 4];

describe("the place of a device in a guest's own transmit ring", () => {
  it.each<[string, Slot[], number, number, number]>([
    ["its head, where all was reported", [reported, reported, NONE, NONE], 2, 2, 2],
    ["its head, where the guest has taken all back", [cleaned, cleaned, NONE, NONE], 2, 2, 2],
    ["its head, at the beginning", [NONE, NONE, NONE, NONE], 0, 0, 0],
    [
      "its head, where what it was not given yet waits",
      [reported, waiting, waiting, NONE],
      1,
      3,
      1,
    ],
    ["behind the last report", [reported, waiting, waiting, NONE], 3, 3, 1],
    ["at a packet's first descriptor", [reported, part, waiting, NONE], 3, 3, 1],
    ["at the context of a packet", [reported, context(0, 1), part, waiting], 0, 0, 1],
    ["behind the ring's end", [waiting, NONE, NONE, waiting], 1, 1, 3],
    ["before a packet that asks for no report", [reported, waiting, silent, NONE], 3, 3, 1],
    ["its head, where no packet asks for a report", [silent, silent, NONE, NONE], 2, 2, 2],
  ])("is %s", (_what, slots, head, tail, slot) => {
    expect(txPlace(guestRing(slots, head, tail))).toEqual({
      slot,
      waiting: slot !== head,
      half: false,
    });
  });

  it("is in doubt where the last descriptor leaves a packet without its end", () => {
    expect(endsInPacket(guestRing([reported, part, NONE, NONE], 2, 2))).toBe(true);
    expect(endsInPacket(guestRing([part, reported, NONE, NONE], 2, 2))).toBe(false);
    expect(endsInPacket(guestRing([reported, context(0, 1), NONE, NONE], 2, 2))).toBe(false);
  });
});

describe("offload contexts of a guest's own ring", () => {
  it("are the last that the device has had, of each index", () => {
    const slots = [context(0, 1), offloaded(0), context(0, 2), offloaded(0), context(1, 3), NONE];
    const { contexts, doubt } = lookForContexts(guestRing(slots, 5, 5));
    expect(contexts.map((each) => each?.[0])).toEqual([2, 3]);
    expect(doubt).toBeUndefined();
  });

  it("are not those that the device will have", () => {
    const slots = [context(0, 1), offloaded(0), context(0, 2), offloaded(0), NONE, NONE];
    const { contexts } = lookForContexts(guestRing(slots, 2, 4));
    expect(contexts[0]?.[0]).toBe(1);
  });

  it("are looked for behind the ring's end", () => {
    const slots = [offloaded(0), offloaded(0), NONE, NONE, context(0, 9), offloaded(0)];
    expect(lookForContexts(guestRing(slots, 2, 2)).contexts[0]?.[0]).toBe(9);
  });

  it("are none where no packet needs one", () => {
    const slots = [reported, cleaned, waiting, NONE];
    expect(lookForContexts(guestRing(slots, 2, 3))).toEqual({
      contexts: [undefined, undefined],
      doubt: undefined,
    });
  });

  it("are in doubt where packets use one that the ring does not show", () => {
    const slots = [offloaded(1), context(0, 1), offloaded(0), NONE];
    expect(lookForContexts(guestRing(slots, 3, 3)).doubt).toMatch(/context 1/u);
    // The next packet's own context does not help those before it.
    const unsent = [reported, offloaded(0), context(0, 1), NONE];
    expect(lookForContexts(guestRing(unsent, 1, 3)).doubt).toMatch(/context 0/u);
  });

  it("are not missed where the oldest packet has lost its own", () => {
    const slots = [NONE, offloaded(0), context(0, 1), offloaded(0)];
    const { contexts, doubt } = lookForContexts(guestRing(slots, 0, 0));
    expect([contexts[0]?.[0], doubt]).toEqual([1, undefined]);
  });
});

describe("the place of a device in a guest's own receive ring", () => {
  const posted: Slot = [0x1000, 1, 0, 0];
  const full: Slot = [0, 0, 3, 60];
  const taken: Slot = [0, 0, 0, 60];
  const half: Slot = [0, 0, 1, 60];

  it.each<[string, Slot[], number, number, number]>([
    ["its head, at the beginning", [posted, posted, posted, NONE], 0, 3, 0],
    ["its head, where all is written back", [full, full, posted, posted], 2, 0, 2],
    ["its head, where the guest has taken all", [taken, taken, posted, posted], 2, 0, 2],
    ["behind the last write-back", [full, posted, posted, posted], 3, 0, 1],
    ["behind it around the ring's end", [posted, posted, posted, full], 2, 2, 0],
    [
      "its head, where the slot at the tail is not the device's",
      [posted, posted, full, full],
      2,
      1,
      2,
    ],
  ])("is %s", (_what, slots, head, tail, slot) => {
    expect(rxPlace(guestRing(slots, head, tail))).toEqual({
      slot,
      waiting: slot !== head,
      half: false,
    });
  });

  it("is in the middle of a frame where the last buffer does not end one", () => {
    expect(rxPlace(guestRing([full, half, posted, posted], 2, 0))).toMatchObject({
      slot: 2,
      half: true,
    });
    expect(rxPlace(guestRing([full, half, posted, posted], 3, 0))).toMatchObject({
      slot: 2,
      half: true,
    });
  });
});
