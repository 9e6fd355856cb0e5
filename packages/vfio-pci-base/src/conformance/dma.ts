import { deepEqual, equal, ok, refuses, sharedMemory } from "./checks.ts";
import type { ConformanceCase, ConformanceSubject } from "./subject.ts";

const PAGE = 4096;
const AT = 0x10_0000n;

const range = (iova: bigint, size: number): { readonly iova: bigint; readonly size: bigint } => ({
  iova,
  size: BigInt(size),
});

async function withMemory(
  subject: ConformanceSubject,
  bytes: number,
  run: (
    device: Awaited<ReturnType<ConformanceSubject["open"]>>,
    memory: ReturnType<typeof sharedMemory>,
  ) => Promise<void>,
): Promise<void> {
  using memory = sharedMemory(subject.io, bytes);
  await using device = await subject.open();
  await run(device, memory);
}

export const dmaCases: readonly ConformanceCase[] = [
  {
    id: "dma.windows",
    title: "The usable IOVAs are told, sorted and apart, and page aligned",
    async run({ open }) {
      await using device = await open();
      const { iovaWindows } = device.info;
      ok(iovaWindows.length > 0);
      let end = -1n;
      for (const { first, last } of iovaWindows) {
        ok(first > end && last > first && first % 4096n === 0n);
        end = last;
      }
    },
  },
  {
    id: "dma.map",
    title: "Memory can be mapped, and mapped again once it is unmapped",
    run: (subject) =>
      withMemory(subject, 4 * PAGE, async (device, memory) => {
        const mapping = { ...range(AT, 4 * PAGE), read: true, write: true, memory };
        for (let times = 0; times < 3; times += 1) {
          // oxlint-disable-next-line no-await-in-loop -- the order is what is tested
          await device.mapDma(mapping);
          // oxlint-disable-next-line no-await-in-loop -- the order is what is tested
          await device.unmapDma(range(AT, 4 * PAGE));
        }
      }),
  },
  {
    id: "dma.large",
    title: "A large mapping is made in another thread, and can be unmapped at once",
    run: (subject) =>
      withMemory(subject, 32 * 1024 * 1024, async (device, memory) => {
        const size = memory.bytes.length;
        const mapped = device.mapDma({ ...range(0n, size), read: true, write: true, memory });
        ok(mapped instanceof Promise);
        // The registers answer meanwhile.
        device.readRegion(7, 0, new Uint8Array(4));
        await device.unmapDma(range(0n, size));
        await mapped;
      }),
  },
  {
    id: "dma.identical",
    title: "Mapping a range again is refused, also with the same memory, and changes nothing",
    run: (subject) =>
      withMemory(subject, 2 * PAGE, async (device, memory) => {
        const mapping = { ...range(AT, 2 * PAGE), read: true, write: true, memory };
        await device.mapDma(mapping);
        await refuses("ERR_VFMIG_DMA_MAP", () => device.mapDma(mapping), "EEXIST");
        const part = memory.part(PAGE, PAGE);
        const inside = { ...range(AT + 4096n, PAGE), read: true, write: true, memory: part };
        await refuses("ERR_VFMIG_DMA_MAP", () => device.mapDma(inside), "EEXIST");
        await device.unmapDma(range(AT, 2 * PAGE));
      }),
  },
  {
    id: "dma.partial",
    title: "Only whole mappings can be unmapped",
    run: (subject) =>
      withMemory(subject, 2 * PAGE, async (device, memory) => {
        await device.mapDma({ ...range(AT, 2 * PAGE), read: true, write: true, memory });
        for (const wrong of [range(AT, PAGE), range(AT + 4096n, PAGE), range(AT, 3 * PAGE)]) {
          // oxlint-disable-next-line no-await-in-loop -- the order is what is tested
          await refuses("ERR_VFMIG_DMA_UNMAP", () => device.unmapDma(wrong));
        }
        await device.unmapDma(range(AT, 2 * PAGE));
        await refuses("ERR_VFMIG_DMA_UNMAP", () => device.unmapDma(range(AT, 2 * PAGE)));
      }),
  },
  {
    id: "dma.reserved",
    title: "Addresses outside of the usable windows are refused",
    run: (subject) =>
      withMemory(subject, PAGE, async (device, memory) => {
        const { iovaWindows } = device.info;
        const gap = iovaWindows[1] === undefined ? undefined : (iovaWindows[0]?.last ?? 0n) + 1n;
        const beyond = (iovaWindows.at(-1)?.last ?? 0n) + 1n;
        for (const iova of [gap, beyond]) {
          if (iova === undefined || iova >= 1n << 52n) continue;
          const mapping = { ...range(iova, PAGE), read: true, write: true, memory };
          // oxlint-disable-next-line no-await-in-loop -- the order is what is tested
          await refuses("ERR_VFMIG_DMA_MAP", () => device.mapDma(mapping));
        }
      }),
  },
  {
    id: "dma.alignment",
    title: "Addresses and sizes that are no whole pages are refused",
    run: (subject) =>
      withMemory(subject, PAGE, async (device, memory) => {
        const mapping = { read: true, write: true, memory };
        await refuses("ERR_VFMIG_DMA_MAP", () =>
          device.mapDma({ ...mapping, ...range(AT + 1n, PAGE) }),
        );
        const short = memory.part(0, 100);
        await refuses("ERR_VFMIG_DMA_MAP", () =>
          device.mapDma({ ...range(AT, 100), read: true, write: true, memory: short }),
        );
      }),
  },
  {
    id: "dma.read-only",
    title: "Memory that is mapped read-only here can be given to the device to read",
    async run({ open, io }) {
      using memory = sharedMemory(io, PAGE, false);
      await using device = await open();
      await device.mapDma({ ...range(AT, PAGE), read: true, write: false, memory });
      await device.unmapDma(range(AT, PAGE));
    },
  },
  {
    id: "dma.hole",
    title: "A range without memory is a hole: taken, and unmapped as any other",
    async run({ open }) {
      await using device = await open();
      await device.mapDma({ ...range(AT, PAGE), read: true, write: true });
      await refuses("ERR_VFMIG_DMA_MAP", () =>
        device.mapDma({ ...range(AT, PAGE), read: true, write: true }),
      );
      await device.unmapDma(range(AT, PAGE));
    },
  },
  {
    id: "dma.many",
    title: "Many mappings are kept apart, and all go when the device is closed",
    async run({ open, io }) {
      using memory = sharedMemory(io, 64 * PAGE);
      const pages = Array.from({ length: 64 }, (_, i) => i);
      for (let times = 0; times < 2; times += 1) {
        // oxlint-disable-next-line no-await-in-loop -- the second needs the first to be over
        await using device = await open();
        for (const page of pages) {
          const part = memory.part(page * PAGE, PAGE);
          const iova = BigInt(page) * 0x2_0000n;
          // oxlint-disable-next-line no-await-in-loop -- one after the other
          await device.mapDma({ ...range(iova, PAGE), read: true, write: true, memory: part });
        }
        equal(device.events.unanswered, 0);
      }
      deepEqual(memory.bytes.subarray(0, 4), new Uint8Array(4));
    },
  },
];
