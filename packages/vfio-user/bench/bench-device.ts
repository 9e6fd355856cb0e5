/** The device that the benchmarks serve: the least that a device can be, with every facet. */
import {
  DirtyBitmap,
  type DmaLoggingFacet,
  type IrqEvent,
  type MigrationFacet,
  type RegionInfo,
  type VfioDevice,
} from "@vfmig/core";

/** BAR 0 has registers, BAR 2 is for large reads. Bytes. */
const SIZES = [65_536, 0, 4_194_304, 0, 0, 0, 0, 256, 0];
/** A write here signals the first MSI-X vector. */
const DOORBELL = 0x100;
/** A write here marks every 16th page of 16 GiB: 262,144 of them. */
const DIRTY = 0x200;
const GUEST_BYTES = 17_179_869_184;
const STRIDE = 65_536;

function createMigration(): MigrationFacet {
  const source = new Uint8Array(4_194_304).fill(0x5a);
  let state: MigrationFacet["state"] = "running";
  return {
    capabilities: { p2p: false, preCopy: false },
    get state() {
      return state;
    },
    async setState(target) {
      state = target;
    },
    async readData(into) {
      into.set(into.length === source.length ? source : source.subarray(0, into.length));
      return into.length;
    },
    async writeData() {},
    async dataSize() {
      return source.length;
    },
    async precopyInfo() {
      return { initialBytes: 0, dirtyBytes: 0, reinit: false };
    },
  };
}

function createLogging(dirty: DirtyBitmap): DmaLoggingFacet {
  return {
    async start() {
      return dirty.pageSize;
    },
    async stop() {},
    async report(range, pageSize, bitmap) {
      dirty.readAndClear(range, pageSize, bitmap);
    },
  };
}

/** Plain memory with one interrupt, endless device state and a real dirty log. */
export function createBenchDevice(): VfioDevice {
  const memory = SIZES.map((size) => new Uint8Array(size));
  const dirty = new DirtyBitmap();
  const events: (IrqEvent | undefined)[] = [];
  const regions: readonly RegionInfo[] = SIZES.map((size, index) => ({
    index,
    size,
    read: size > 0,
    write: size > 0,
  }));
  return {
    info: {
      identity: { device: "registers", base: { name: "registers", version: "1.0.0" } },
      pci: true,
      resettable: true,
      regions,
      irqs: [0, 0, 64, 0, 0].map((count, index) => ({
        index,
        count,
        eventfd: true,
        maskable: false,
        automasked: false,
        noResize: false,
      })),
      iovaWindows: [{ first: 0n, last: 0xffff_ffff_ffff_ffffn }],
    },
    readRegion(index, offset, into) {
      const from = memory[index];
      if (from === undefined) return;
      if (into.length > 16) into.set(from.subarray(offset, offset + into.length));
      else for (let i = 0; i < into.length; i++) into[i] = from[offset + i] ?? 0;
    },
    writeRegion(index, offset, from) {
      if (index === 0 && offset === DOORBELL) events[0]?.signal();
      if (index === 0 && offset === DIRTY) {
        for (let at = 0; at < GUEST_BYTES; at += STRIDE) dirty.set(at, 1);
      }
      const into = memory[index];
      if (into === undefined) return;
      if (from.length > 16) into.set(from, offset);
      else for (let i = 0; i < from.length; i++) into[offset + i] = from[i] ?? 0;
    },
    setIrqs({ start, data }) {
      if (data.kind === "event") data.events.forEach((event, i) => (events[start + i] = event));
    },
    mapDma() {},
    unmapDma() {},
    async reset() {},
    migration: createMigration(),
    dmaLogging: createLogging(dirty),
    async [Symbol.asyncDispose]() {},
  };
}
