import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readFeatureHead, writeFeatureHead, FEATURE_FLAG } from "./device-feature.ts";
import { readDeviceInfo, writeDeviceInfo } from "./device-info.ts";
import { readDmaMap, readDmaUnmap, writeDmaMap, writeDmaUnmap } from "./dma.ts";
import { bitmapBytes } from "./dirty-bitmap.ts";
import {
  readLoggingReport,
  readLoggingStart,
  writeLoggingReport,
  writeLoggingStart,
} from "./dma-logging.ts";
import { readIrqInfo, readIrqInfoRequest, writeIrqInfo } from "./irq-info.ts";
import {
  readMigrationFlags,
  readMigrationState,
  readPrecopyInfo,
  writeMigrationFlags,
  writeMigrationState,
  writePrecopyInfo,
} from "./migration.ts";
import {
  readRegionIoFds,
  readRegionIoFdsRequest,
  regionIoFdsBytes,
  writeRegionIoFds,
} from "./region-io-fds.ts";
import { readWriteMulti, writeWriteMulti } from "./region-write-multi.ts";
import { readRegionUnmapped, writeRegionUnmapped } from "./region-unmapped.ts";
import { readRegionInfo, regionInfoBytes, writeRegionInfo } from "./region-info.ts";
import { readSetIrqs, writeSetIrqs } from "./set-irqs.ts";
import { capabilitiesJson, decodeVersion, encodeVersion } from "./version.ts";
import { readU64, writeU64 } from "./wire.ts";

/** Structs stand somewhere in the middle of a buffer that is full of other things. */
const AT = 40;

function buffer(): { bytes: Uint8Array; view: DataView } {
  const bytes = new Uint8Array(9000).fill(0xee);
  return { bytes, view: new DataView(bytes.buffer) };
}

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const safe = fc.maxSafeNat();
const pages = fc.bigInt({ min: 0n, max: (1n << 52n) - 1n }).map((n) => n << 12n);
const page = fc.integer({ min: 12, max: 30 }).map((bits) => 2 ** bits);
const range = fc
  .record({
    iova: pages,
    size: fc.bigInt({ min: 1n, max: 1n << 51n }).map((n) => n << 12n),
  })
  .filter(({ iova, size }) => iova + size <= 1n << 64n);

const areas = fc
  .array(fc.tuple(fc.nat(1000), fc.integer({ min: 1, max: 1000 })), { maxLength: 20 })
  .map((steps) => {
    let end = 0;
    return steps.map(([gap, size]) => {
      const area = { offset: (end + gap) * 4096, size: size * 4096 };
      end += gap + size;
      return area;
    });
  });

describe("what is written is read back", () => {
  it("for 64-bit numbers", () => {
    fc.assert(
      fc.property(safe, (value) => {
        const { view } = buffer();
        writeU64(view, AT, value);
        expect(readU64(view, AT)).toBe(value);
        expect(view.getBigUint64(AT, true)).toBe(BigInt(value));
      }),
    );
  });

  it("for device information", () => {
    fc.assert(
      fc.property(fc.record({ flags: u32, regions: u32, irqs: u32 }), (info) => {
        const { view } = buffer();
        expect(readDeviceInfo(view, AT, writeDeviceInfo(view, AT, info))).toEqual(info);
      }),
    );
  });

  it("for irq information", () => {
    const irq = fc.record({
      index: u32,
      count: u32,
      eventfd: fc.boolean(),
      maskable: fc.boolean(),
      automasked: fc.boolean(),
      noResize: fc.boolean(),
    });
    fc.assert(
      fc.property(irq, fc.record({ type: u32, subtype: u32 }), u32, (plain, type, room) => {
        const { view } = buffer();
        expect(readIrqInfo(view, AT, writeIrqInfo(view, AT, plain))).toEqual(plain);
        const info = { ...plain, type };
        const short = writeIrqInfo(view, AT, info, Math.min(room, 39), true);
        expect([short, view.getUint32(AT, true)]).toEqual([16, 40]);
        expect(readIrqInfo(view, AT, short)).toEqual(plain);
        expect(readIrqInfo(view, AT, writeIrqInfo(view, AT, info, 40, true))).toEqual(info);
        expect(readIrqInfo(view, AT, writeIrqInfo(view, AT, info, 40, false))).toEqual(plain);
      }),
    );
  });

  it("for the type of a region and the areas that remain while saving", () => {
    const type = fc.option(fc.record({ type: u32, subtype: u32 }), { nil: undefined });
    const saving = fc.option(areas, { nil: undefined });
    fc.assert(
      fc.property(areas, saving, type, fc.boolean(), (list, rest, kind, layouts) => {
        const { view } = buffer();
        const mmap = { fd: 3, fdOffset: 0n, areas: list, saving: rest };
        const region = { index: 9, size: 2 ** 33, read: true, write: true, mmap, type: kind };
        const written = writeRegionInfo(view, AT, region, true, layouts);
        expect(written).toBe(regionInfoBytes(region, layouts));
        const answer = readRegionInfo(view, AT, written);
        const mappable = list.length > 0;
        expect(answer.mmap).toBe(mappable);
        expect(answer.areas).toEqual(mappable ? list : undefined);
        expect(answer.saving).toEqual(mappable && layouts ? rest : undefined);
        expect(answer.type).toEqual(kind);
        const short = readRegionInfo(view, AT, writeRegionInfo(view, AT, region, false, layouts));
        expect([short.argsz, short.type, short.areas]).toEqual([written, undefined, undefined]);
      }),
    );
  });

  it("for areas that were unmapped", () => {
    fc.assert(
      fc.property(u32, areas, (region, list) => {
        const { view } = buffer();
        const request = { region, areas: list.length === 0 ? undefined : list };
        const written = writeRegionUnmapped(view, AT, request);
        expect(readRegionUnmapped(view, AT, written, 4096)).toEqual(request);
      }),
    );
  });

  it("for region information with and without mappable areas", () => {
    fc.assert(
      fc.property(
        areas,
        u32,
        fc.boolean(),
        fc.boolean(),
        pages,
        (list, index, read, write, fdOffset) => {
          const { view } = buffer();
          const size = 2 ** 33;
          const region = { index, size, read, write, mmap: { fd: 3, fdOffset, areas: list } };
          const written = writeRegionInfo(view, AT, region, true);
          expect(written).toBe(regionInfoBytes(region));
          expect(readRegionInfo(view, AT, written)).toEqual({
            argsz: written,
            index,
            size,
            read,
            write,
            mmap: list.length > 0,
            fdOffset: list.length > 0 ? fdOffset : 0n,
            areas: list.length > 0 ? list : undefined,
          });
        },
      ),
    );
  });

  it("for interrupt requests that fit the device", () => {
    const irqs = [
      { index: 0, count: 64, eventfd: true, maskable: true, automasked: false, noResize: false },
    ];
    const request = fc
      .record({
        start: fc.integer({ min: 0, max: 63 }),
        count: fc.integer({ min: 1, max: 64 }),
        kind: fc.constantFrom("none", "bool", "event"),
        action: fc.constantFrom("mask", "unmask", "trigger"),
      })
      .filter(({ start, count }) => start + count <= 64);
    fc.assert(
      fc.property(request, fc.boolean(), (each, assign) => {
        const { view, bytes } = buffer();
        const values = new Uint8Array(each.kind === "bool" ? each.count : 0).fill(1);
        const full = { ...each, index: 0, values };
        const length = writeSetIrqs(view, bytes, AT, full);
        const fds = each.kind === "event" && assign ? each.count : 0;
        expect(readSetIrqs(view, bytes, AT, length, irqs, fds)).toEqual(full);
      }),
    );
  });

  it("for mappings and their removal", () => {
    fc.assert(
      fc.property(
        range,
        pages,
        fc.constantFrom([true, false], [false, true], [true, true]),
        (each, fdOffset, [read = true, write = true]) => {
          const { view } = buffer();
          const map = { ...each, fdOffset, read, write };
          expect(readDmaMap(view, AT, writeDmaMap(view, AT, map), 4096)).toEqual(map);
          const unmap = { all: false as const, ...each };
          expect(readDmaUnmap(view, AT, writeDmaUnmap(view, AT, unmap), 4096)).toEqual(unmap);
        },
      ),
    );
  });

  it("for the dirty log", () => {
    fc.assert(
      fc.property(fc.array(range, { maxLength: 256 }), page, (ranges, pageSize) => {
        const { view } = buffer();
        const request = { pageSize, ranges };
        expect(readLoggingStart(view, AT, writeLoggingStart(view, AT, request))).toEqual(request);
        const [first] = ranges;
        if (first === undefined) return;
        const length = writeLoggingReport(view, AT, first, pageSize);
        expect(readLoggingReport(view, AT, length, Infinity)).toEqual({
          range: first,
          pageSize,
          bitmapBytes: bitmapBytes(first.size, pageSize),
        });
      }),
    );
  });

  it("for migration flags, states and sizes", () => {
    const { view } = buffer();
    for (const p2p of [true, false]) {
      for (const preCopy of [true, false]) {
        writeMigrationFlags(view, AT, { p2p, preCopy });
        expect(readMigrationFlags(view, AT, 8)).toEqual({ p2p, preCopy });
      }
    }
    for (const state of [
      "error",
      "stop",
      "running",
      "stop-copy",
      "resuming",
      "running-p2p",
      "pre-copy",
      "pre-copy-p2p",
    ] as const) {
      writeMigrationState(view, AT, state);
      expect(readMigrationState(view, AT, 8)).toBe(state);
    }
    fc.assert(
      fc.property(safe, safe, fc.boolean(), (initialBytes, dirtyBytes, reinit) => {
        const info = { initialBytes, dirtyBytes, reinit };
        expect(readPrecopyInfo(view, AT, writePrecopyInfo(view, AT, info))).toEqual(info);
      }),
    );
  });

  it("for versions", () => {
    const capabilities = fc.record({
      maxMsgFds: fc.integer({ min: 0, max: 1024 }),
      maxDataTransferSize: fc.integer({ min: 1, max: 0xffff_ffff }),
      maxDmaMaps: u32,
      pageSizes: fc.integer({ min: 1, max: 2 ** 40 }),
      migration: fc.option(fc.record({ pageSize: fc.constant(4096), maxBitmapSize: safe }), {
        nil: undefined,
      }),
      vfmig: fc.option(fc.record({ thread: fc.string(), sameThread: fc.constant(true) }), {
        nil: undefined,
      }),
    });
    fc.assert(
      fc.property(capabilities, fc.nat(0xffff), (each, minor) => {
        const decoded = decodeVersion(encodeVersion(0, minor, capabilitiesJson(each)));
        expect(decoded).toMatchObject({ major: 0, minor });
        expect(decoded.capabilities).toEqual(each);
      }),
    );
  });
});

describe("the rarer messages give back what was written", () => {
  it("an unmapping with dirty pages", () => {
    fc.assert(
      fc.property(pages, fc.integer({ min: 1, max: 200_000 }), page, (iova, count, pageSize) => {
        const size = BigInt(count) << 12n;
        if (iova + size > 1n << 64n) return;
        const bitmap = { pageSize, bytes: bitmapBytes(size, pageSize) };
        const { view } = buffer();
        const length = writeDmaUnmap(view, AT, { all: false, iova, size, bitmap });
        expect(readDmaUnmap(view, AT, length, 1 << 20)).toEqual({ all: false, iova, size, bitmap });
        expect(() => readDmaUnmap(view, AT, length, bitmap.bytes - 1)).toThrow("limit");
      }),
    );
  });

  it("many small writes", () => {
    const write = fc.record({
      index: u32,
      offset: safe,
      data: fc.uint8Array({ maxLength: 8 }),
    });
    fc.assert(
      fc.property(fc.array(write, { maxLength: 300 }), (writes) => {
        const { view, bytes } = buffer();
        const length = writeWriteMulti(view, bytes, AT, writes);
        const read = readWriteMulti(view, bytes, AT, length);
        expect(read.map(({ data, ...rest }) => ({ ...rest, data: data.slice() }))).toEqual(writes);
      }),
    );
  });

  it("io fds", () => {
    const entry = fc.record({
      offset: safe,
      size: safe,
      type: fc.constantFrom("ioeventfd" as const, "ioregionfd" as const),
      flags: u32,
      dataMatch: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
      fd: fc.nat(1000),
    });
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 16 }), u32, (entries, index) => {
        const { view } = buffer();
        const fds = entries.map(({ fd }) => fd);
        const length = writeRegionIoFds(view, AT, index, entries, true);
        expect(length).toBe(regionIoFdsBytes(entries));
        expect(readRegionIoFds(view, AT, length, fds)).toEqual({ argsz: length, entries });
        const head = writeRegionIoFds(view, AT, index, entries, false);
        expect(readRegionIoFds(view, AT, head, [])).toEqual({ argsz: length, entries: [] });
      }),
    );
  });
});

describe("what makes no sense is refused", () => {
  const readers: Record<string, (view: DataView, bytes: Uint8Array, length: number) => unknown> = {
    "device information": (view, _bytes, length) => readDeviceInfo(view, 0, length),
    "region information": (view, _bytes, length) => readRegionInfo(view, 0, length),
    "irq information": (view, _bytes, length) => readIrqInfo(view, 0, length),
    "requests for irq information": (view, _bytes, length) => readIrqInfoRequest(view, 0, length),
    "unmapped areas": (view, _bytes, length) => readRegionUnmapped(view, 0, length, 4096),
    interrupts: (view, bytes, length) => readSetIrqs(view, bytes, 0, length, [], 0),
    mappings: (view, _bytes, length) => readDmaMap(view, 0, length, 4096),
    unmapping: (view, _bytes, length) => readDmaUnmap(view, 0, length, 4096),
    "many writes": (view, bytes, length) => readWriteMulti(view, bytes, 0, length),
    "io fds": (view, _bytes, length) => readRegionIoFds(view, 0, length, [1, 2]),
    "requests for io fds": (view, _bytes, length) => readRegionIoFdsRequest(view, 0, length),
    features: (view, _bytes, length) => readFeatureHead(view, 0, length),
    "log start": (view, _bytes, length) => readLoggingStart(view, 0, length),
    "log report": (view, _bytes, length) => readLoggingReport(view, 0, length, 1 << 20),
    version: (_view, bytes, length) => decodeVersion(bytes.subarray(0, length)),
  };

  it.each(Object.keys(readers))(
    "%s of any bytes give a value or a vfmig error, nothing else",
    (name) => {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 200 }), (junk) => {
          const bytes = junk.slice();
          try {
            readers[name]?.(new DataView(bytes.buffer), bytes, bytes.length);
          } catch (error) {
            expect(error).toHaveProperty("code", expect.stringMatching(/^ERR_VFMIG_VFIO_USER_/));
          }
        }),
        { numRuns: 500 },
      );
    },
  );

  it("a mapping that passes the end of the address space", () => {
    const { view } = buffer();
    const last = { iova: (1n << 64n) - 4096n, size: 8192n, fdOffset: 0n, read: true, write: true };
    const length = writeDmaMap(view, AT, last);
    expect(() => readDmaMap(view, AT, length, 4096)).toThrow("passes 2^64");
    const fits = { ...last, size: 4096n };
    expect(readDmaMap(view, AT, writeDmaMap(view, AT, fits), 4096)).toEqual(fits);
  });

  it.each([
    ["neither GET nor SET", 2],
    ["GET and SET without PROBE", 2 | FEATURE_FLAG.GET | FEATURE_FLAG.SET],
    ["an unknown flag", 2 | FEATURE_FLAG.GET | 0x8_0000],
  ])("a feature with %s", (_name, flags) => {
    const { view } = buffer();
    writeFeatureHead(view, AT, 16, 0, flags);
    expect(() => readFeatureHead(view, AT, 8)).toThrow("DEVICE_FEATURE");
  });

  it("areas that overlap or leave their region", () => {
    for (const areas of [
      [
        { offset: 0, size: 8192 },
        { offset: 4096, size: 4096 },
      ],
      [{ offset: 8192, size: 8192 }],
    ]) {
      const { view } = buffer();
      const region = { index: 0, size: 12_288, read: true, write: true };
      const length = writeRegionInfo(
        view,
        AT,
        { ...region, mmap: { fd: 1, fdOffset: 0n, areas } },
        true,
      );
      expect(() => readRegionInfo(view, AT, length)).toThrow("not in order");
    }
  });

  it("a chain of capabilities that leads round in circles", () => {
    const { view } = buffer();
    const areas = [{ offset: 0, size: 4096 }];
    const region = {
      index: 0,
      size: 4096,
      read: true,
      write: true,
      mmap: { fd: 1, fdOffset: 0n, areas },
    };
    const length = writeRegionInfo(view, AT, region, true);
    view.setUint16(AT + 32, 9, true);
    view.setUint32(AT + 36, 32, true);
    expect(() => readRegionInfo(view, AT, length)).toThrow("outside the reply");
  });
});
