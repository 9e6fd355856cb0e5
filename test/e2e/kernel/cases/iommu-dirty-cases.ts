import assert from "node:assert/strict";
import { VfmigError } from "@vfmig/core";
import { createLinuxIo, type MappedMemory } from "@vfmig/linux";
// Not public: nothing but a device of the base uses it, and no device here has an IOMMU that logs.
import { IommuDirty } from "../../../../packages/vfio-pci-base/src/dirty/iommu-dirty.ts";
import { KernelCalls } from "../../../../packages/vfio-pci-base/src/kernel-calls.ts";
import type { BedCase } from "../inside/bed-case.ts";
import { MOCK_FIRST, MOCK_PAGE, MockIommu } from "../inside/mock-iommu.ts";
import { createRecordedIo } from "../inside/recorded-io.ts";

const PAGE = 4096;
const PAGES = 1024;
const ROUNDS = 20;
const RANGE = { iova: MOCK_FIRST, size: BigInt(PAGES * PAGE) };
// What the bed itself asks of the self-test is not the base's.
const io = createLinuxIo();
const recorded = createRecordedIo();

interface Bed extends Disposable {
  readonly mock: MockIommu;
  readonly log: IommuDirty;
}

function open(): Bed {
  const mock = new MockIommu(io);
  const fd = io.memfd("mock", PAGES * PAGE);
  const memory: MappedMemory = io.mmap(fd, PAGES * PAGE);
  io.close(fd);
  mock.map(MOCK_FIRST, memory);
  const log = new IommuDirty(new KernelCalls(recorded, "the mock"), {
    iommufd: mock.iommufd,
    hwpt: mock.hwpt,
    pageSize: PAGE,
    mapped: () => [RANGE],
  });
  return {
    mock,
    log,
    [Symbol.dispose]() {
      mock[Symbol.dispose]();
      memory[Symbol.dispose]();
    },
  };
}

/** Lets the device write to these pages of 4 KiB, to one half of each. */
function writeTo(mock: MockIommu, pages: ReadonlySet<number>): void {
  const halves = new Uint8Array((PAGES * PAGE) / MOCK_PAGE / 8);
  for (const page of pages) {
    const half = page * 2 + (page % 2);
    halves[half >> 3] = (halves[half >> 3] ?? 0) | (1 << (half & 7));
  }
  assert.equal(mock.write(MOCK_FIRST, PAGES * PAGE, halves), pages.size);
}

async function report(log: IommuDirty, pageSize: number = PAGE): Promise<readonly number[]> {
  const bitmap = new Uint8Array((PAGES * PAGE) / pageSize / 8);
  await log.report(RANGE, pageSize, bitmap);
  return [...bitmap].flatMap((byte, at) =>
    [0, 1, 2, 3, 4, 5, 6, 7].filter((bit) => byte & (1 << bit)).map((bit) => at * 8 + bit),
  );
}

function somePages(round: number): Set<number> {
  const pages = new Set([round % 2 === 0 ? 0 : PAGES - 1]);
  for (let n = 0; n < 1 << (round % 9); n += 1) pages.add((n * 67 + round * 131) % PAGES);
  return pages;
}

const sorted = (pages: ReadonlySet<number>): number[] => [...pages].toSorted((a, b) => a - b);

export const cases: readonly BedCase[] = [
  {
    name: "what the device wrote is reported, page for page, once",
    async run() {
      using bed = open();
      const { log, mock } = bed;
      assert.equal(await log.start({ pageSize: PAGE, ranges: [RANGE] }), PAGE);
      assert.deepEqual(await report(log), []);
      let pages = 0;
      for (let round = 0; round < ROUNDS; round += 1) {
        const written = somePages(round);
        writeTo(mock, written);
        assert.deepEqual(await report(log), sorted(written), `round ${round}`);
        assert.deepEqual(await report(log), [], `round ${round}, again`);
        pages += written.size;
      }
      await log.stop();
      return { rounds: ROUNDS, "pages written and reported": pages };
    },
  },
  {
    name: "a coarser page is dirty if one of its pages was written",
    async run() {
      using bed = open();
      await bed.log.start({ pageSize: PAGE, ranges: [RANGE] });
      writeTo(bed.mock, new Set([0, 5, 6, 511, 1023]));
      assert.deepEqual(await report(bed.log, 4 * PAGE), [0, 1, 127, 255]);
      await bed.log.stop();
    },
  },
  {
    name: "what was written before the log began, or after it ended, is not in it",
    async run() {
      using bed = open();
      const { log, mock } = bed;
      await log.start({ pageSize: PAGE, ranges: [RANGE] });
      writeTo(mock, new Set([7]));
      await log.stop();
      await assert.rejects(
        report(log),
        (error) => VfmigError.is(error) && error.code === "ERR_VFMIG_DMA_LOGGING_STATE",
      );
      await log.start({ pageSize: PAGE, ranges: [RANGE] });
      assert.deepEqual(await report(log), []);
      writeTo(mock, new Set([8]));
      assert.deepEqual(await report(log), [8]);
      await log.stop();
    },
  },
];
