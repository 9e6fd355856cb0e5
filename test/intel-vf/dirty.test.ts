import { PCI_REGION } from "@vfmig/core";
import {
  buildPromiscuous,
  buildQueueSelect,
  RX_DESCRIPTOR_SIZE,
  rxTailQueue,
  VIRTCHNL_OP,
} from "@vfmig/iavf";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FAMILIES } from "./rig/family.ts";
import { facets } from "./rig/move.ts";
import { PAGE, RAM_IOVA, World } from "./rig/world.ts";

const RING = 512;
const PAIRS = 4;
const STRIDE = 2048n;
/** Pages of the guest's mailbox, its buffers, and all rings. */
const OWN_PAGES = 40;
const FIRST = Number(RAM_IOVA) / PAGE;

/** What a guest and its surroundings do while the log runs. */
const step = fc.oneof(
  fc.record({
    kind: fc.constant("frames"),
    count: fc.integer({ min: 1, max: 60 }),
    length: fc.integer({ min: 64, max: 1400 }),
  }),
  fc.record({ kind: fc.constant("link"), up: fc.boolean() }),
  fc.record({ kind: fc.constant("request"), stats: fc.boolean() }),
  fc.record({ kind: fc.constant("aim"), at: fc.integer({ min: 0, max: 3000 }), odd: fc.boolean() }),
);

/** Where the guest's Rx rings begin: descriptors whose buffers follow one another. */
function findRxRings(ram: Uint8Array): number[] {
  const data = new DataView(ram.buffer);
  const address = (at: number): bigint => data.getBigUint64(at, true);
  const starts = Array.from({ length: ram.length / PAGE }, (_, page) => page * PAGE);
  const pages = starts.filter((start) => {
    const first = address(start);
    const slots = [1, 2, 3, 4, 5, 6, 7].map((slot) => address(start + slot * RX_DESCRIPTOR_SIZE));
    return first > RAM_IOVA && slots.every((next, n) => next === first + STRIDE * BigInt(n + 1));
  });
  // A ring has several pages.
  return pages.filter((_, n) => n % ((RING * RX_DESCRIPTOR_SIZE) / PAGE) === 0);
}

/** Pages of all buffers that stand in the guest's Rx rings. */
function bufferPages(ram: Uint8Array, rings: readonly number[]): Set<number> {
  const data = new DataView(ram.buffer);
  const pages = new Set<number>();
  for (const ring of rings) {
    for (let slot = 0; slot < RING; slot++) {
      const from = Number(data.getBigUint64(ring + slot * RX_DESCRIPTOR_SIZE, true) - RAM_IOVA);
      for (const at of [from, from + Number(STRIDE) - 1]) pages.add(Math.floor(at / PAGE));
    }
  }
  return pages;
}

/** Lets the guest post buffers somewhere else: `next` is where, once, just before it writes an Rx tail. */
function aimBuffers(world: World, rings: readonly number[]): { next: bigint | undefined } {
  const aim: { next: bigint | undefined } = { next: undefined };
  const { device, ram } = world.host;
  const write = device.writeRegion.bind(device);
  device.writeRegion = (index, offset, from) => {
    const queue = index === PCI_REGION.BAR0 ? rxTailQueue(offset) : -1;
    const ring = rings[queue];
    if (ring !== undefined && aim.next !== undefined && from.length === 4) {
      const tail = new DataView(from.buffer, from.byteOffset).getUint32(0, true);
      const slot = (tail + RING - 1) % RING;
      new DataView(ram.buffer).setBigUint64(ring + slot * RX_DESCRIPTOR_SIZE, aim.next, true);
      aim.next = undefined;
    }
    write(index, offset, from);
  };
  return aim;
}

function pagesOf(bitmap: Uint8Array): Set<number> {
  const pages = Array.from({ length: bitmap.length * 8 }, (_, page) => page);
  return new Set(pages.filter((page) => (((bitmap[page >> 3] ?? 0) >> (page & 7)) & 1) === 1));
}

function changed(before: Uint8Array, after: Uint8Array): Set<number> {
  const pages = Array.from({ length: before.length / PAGE }, (_, page) => page);
  const [old, now] = [Buffer.from(before.buffer), Buffer.from(after.buffer)];
  return new Set(
    pages.filter((page) => {
      const [from, to] = [page * PAGE, (page + 1) * PAGE];
      return old.compare(now, from, to, from, to) !== 0;
    }),
  );
}

describe.each(FAMILIES)("$name", (family) => {
  test.each(["always", "while-saving"] as const)(
    "reports every page that the device writes by any path, with queues relayed %s",
    async (shadow) => {
      const excess: number[] = [];
      const beyond: number[] = [];
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 14 }), async (steps) => {
          const world = await World.create({
            family,
            models: [{ trusted: true }],
            options: { shadow },
          });
          world.traffic(100);
          const { device, model, ram } = world.host;
          const rings = findRxRings(ram);
          expect(rings).toHaveLength(PAIRS);
          const aim = aimBuffers(world, rings);
          const { logging, migration } = facets(device);
          const range = { iova: RAM_IOVA, size: BigInt(ram.length) };
          await world.settle(logging.start({ pageSize: PAGE, ranges: [range] }));
          model.truth.clearWrittenPages();
          for (const next of steps) {
            if (next.kind === "frames") world.traffic(next.count, next.length);
            else if (next.kind === "link") model.control.setLink(next.up);
            else if (next.kind === "aim") {
              aim.next = RAM_IOVA + BigInt(next.at * PAGE + (next.odd ? PAGE - 100 : 0));
              world.traffic(40);
            } else if (world.driver.state === "running") {
              const { GET_STATS, CONFIG_PROMISCUOUS_MODE } = VIRTCHNL_OP;
              const opcode = next.stats ? GET_STATS : CONFIG_PROMISCUOUS_MODE;
              const asked = world.driver.request(opcode, (vsiId) =>
                next.stats
                  ? buildQueueSelect({ vsiId, txQueues: 0, rxQueues: 0 })
                  : buildPromiscuous({ vsiId, flags: 3 }),
              );
              asked.catch(() => {});
            }
            world.clock.advance(3);
          }
          // From here on nobody but the device and its plugin writes.
          world.driver.pause();
          const paused = ram.slice();
          model.control.setLink(true);
          for (let frame = 0; frame < 6; frame++) world.frame();
          await world.settle(migration.setState("stop"));
          const bitmap = new Uint8Array(ram.length / PAGE / 8);
          await world.settle(logging.report(range, PAGE, bitmap));
          const dirty = pagesOf(bitmap);
          const truth = new Set(
            model.truth
              .writtenPages()
              .map((page) => page - FIRST)
              .filter((page) => page >= 0 && page < ram.length / PAGE),
          );
          const late = changed(paused, ram);
          expect({ steps, missed: [...truth.union(late).difference(dirty)] }).toEqual({
            steps,
            missed: [],
          });
          const extra = dirty.difference(truth.union(late));
          excess.push(extra.size);
          beyond.push(extra.difference(bufferPages(ram, rings)).size);
          await world.close();
        }),
        { numRuns: 12 },
      );
      // Every buffer that was still posted counts as written, and nothing else does: what is left are the
      // mailbox and the rings, which the plugin wrote in the device's place.
      expect(Math.max(...beyond)).toBeLessThanOrEqual(OWN_PAGES);
      // A buffer may lie across a border of pages; by default two share one.
      expect(Math.max(...excess)).toBeLessThanOrEqual(PAIRS * (RING / 2 + 8) + OWN_PAGES);
    },
    60_000,
  );
});
