import { compose, defineSubDriver, requiredArcs } from "@vfmig/core";
import type {
  Arc,
  Clock,
  ComposedDevice,
  RegionRange,
  SubDriverContext,
  VfioDevice,
} from "@vfmig/core";
import { MemoryDevice } from "./memory-device.ts";

const CAPABILITIES = { p2p: true, preCopy: true };

export interface AdjustableDevice {
  readonly device: ComposedDevice;
  readonly base: MemoryDevice;
  /** Traps and untraps parts of region 2, of which pages 0 and 2 can be mapped, while saving only page 2. */
  readonly regions: SubDriverContext["regions"];
  /** What reached the sub-driver, such as `write 0+4`. */
  readonly seen: string[];
  /** Restored states that were applied. */
  readonly commits: () => number;
  /** Replaces what an arc does. */
  readonly duties: Map<Arc, (signal: AbortSignal) => Promise<void>>;
}

/** A memory device with a sub-driver that migrates and that traps parts of region 2 while it runs. */
export async function adjustableDevice(
  mmapFd: number,
  options: { readonly clock?: Clock; readonly descriptionBytes?: number } = {},
): Promise<AdjustableDevice> {
  const base = new MemoryDevice({ mmapFd });
  const seen: string[] = [];
  let commits = 0;
  const duties = new Map<Arc, (signal: AbortSignal) => Promise<void>>();
  const offers = { padding: "x".repeat(options.descriptionBytes ?? 0) };
  const late: { regions?: SubDriverContext["regions"] } = {};
  const trapped: RegionRange[] = [];
  const definition = defineSubDriver({
    name: "adjustable",
    version: "1.0.0",
    apiVersion: "^1.0.0",
    matches: [{ vendor: 0x1af4, device: 0x1100 }],
    privileges: [],
    capabilities: { migration: ["stop-copy", "p2p", "pre-copy"] },
    // The header and the end of a state are enough here.
    state: { version: 1, reads: [1], records: {} },
    compare: () => [],
    attach: (context) => {
      late.regions = context.regions;
      const arcs = requiredArcs(CAPABILITIES).map((arc) => [
        arc,
        async (signal: AbortSignal) => await duties.get(arc)?.(signal),
      ]);
      return {
        describe: async () => ({
          driver: { name: "adjustable", version: "1.0.0" },
          state: { version: 1, reads: [1] },
          device: { vendor: 0x1af4, device: 0x1100 },
          offers,
          uses: {},
        }),
        regions: [
          {
            index: 2,
            trapped,
            adjustable: true,
            read: (offset, into) => {
              seen.push(`read ${offset}+${into.length}`);
              into.fill(0xad);
            },
            write: (offset, from) => void seen.push(`write ${offset}+${from.length}`),
            mmap: {
              runtime: [
                { offset: 0, size: 4096 },
                { offset: 8192, size: 4096 },
              ],
              saving: [{ offset: 8192, size: 4096 }],
            },
          },
        ],
        migration: {
          arcs: Object.fromEntries(arcs),
          save: () => [],
          savePrecopy: () => [],
          precopyInfo: () => ({ initialBytes: 0, dirtyBytes: 0, reinit: false }),
          size: () => 100,
          load: () => ({
            record: () => {},
            commit: async () => {
              commits += 1;
            },
            abort: () => {},
          }),
        },
        close: async () => {},
      };
    },
  });
  const { clock } = options;
  const device = await compose(
    withoutFacets(base),
    definition,
    clock === undefined ? {} : { clock },
  );
  if (late.regions === undefined) throw new Error("the sub-driver was not attached");
  return { device, base, regions: late.regions, seen, commits: () => commits, duties };
}

/** What a sub-driver that migrates needs of its base: neither migration nor a log. */
function withoutFacets(base: MemoryDevice): VfioDevice {
  return {
    info: base.info,
    readRegion: base.readRegion.bind(base),
    writeRegion: base.writeRegion.bind(base),
    setIrqs: base.setIrqs.bind(base),
    mapDma: base.mapDma.bind(base),
    unmapDma: base.unmapDma.bind(base),
    noteMapping: base.noteMapping.bind(base),
    reset: base.reset.bind(base),
    migration: undefined,
    dmaLogging: undefined,
    [Symbol.asyncDispose]: () => base[Symbol.asyncDispose](),
  };
}
