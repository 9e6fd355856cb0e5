import type { IoctlPointer } from "@vfmig/linux";
import { MIGRATION_STATE } from "@vfmig/core";
import { FEATURE } from "../../uapi/commands.ts";
import { no, taken } from "./errno.ts";
import type { FakeFunction } from "./function.ts";

const GET = 0x1_0000;
const SET = 0x2_0000;
const PROBE = 0x4_0000;

interface Answer {
  readonly directions: number;
  /** Bytes of the feature's own data. */
  readonly bytes: number;
  run(direction: number, view: DataView, pointers: readonly IoctlPointer[]): number;
}

/** `VFIO_DEVICE_FEATURE` (`vfio_main.c`). */
export function answerFeature(
  fn: FakeFunction,
  argument: Uint8Array | number,
  pointers: readonly IoctlPointer[],
): number {
  const view = taken(argument, 8);
  if (view === undefined) return no("EINVAL");
  const flags = view.getUint32(4, true);
  const direction = flags & (GET | SET);
  const probe = (flags & PROBE) !== 0;
  if ((flags & ~(GET | SET | PROBE | 0xffff)) !== 0) return no("EINVAL");
  if (direction === 0 && !probe) return no("EINVAL");
  if (direction === (GET | SET) && !probe) return no("EINVAL");
  const id = flags & 0xffff;
  const kind = probe ? "probe" : direction === GET ? "get" : "set";
  fn.trace.feature(id, kind);
  const feature = find(fn, id);
  if (feature === undefined) return no("ENOTTY");
  if ((direction & ~feature.directions) !== 0) return no("EINVAL");
  if (probe) return 0;
  if (view.getUint32(0, true) < 8 + feature.bytes) return no("EINVAL");
  return feature.run(
    direction,
    new DataView(view.buffer, view.byteOffset + 8, view.byteLength - 8),
    pointers,
  );
}

function find(fn: FakeFunction, id: number): Answer | undefined {
  return migrationFeature(fn, id) ?? loggingFeature(fn, id) ?? otherFeature(fn, id);
}

function migrationFeature(fn: FakeFunction, id: number): Answer | undefined {
  const { variant } = fn;
  if (variant === undefined) return undefined;
  switch (id) {
    case FEATURE.MIGRATION:
      return get(8, (view) => view.setBigUint64(0, BigInt(variant.flags), true));
    case FEATURE.MIG_DATA_SIZE:
      return get(8, (view) => view.setBigUint64(0, BigInt(variant.size), true));
    case FEATURE.MIG_PRECOPY_INFOV2:
      return variant.settings.preCopy ? set(0, () => void (variant.reinit = true)) : undefined;
    case FEATURE.MIG_DEVICE_STATE:
      return {
        directions: GET | SET,
        bytes: 8,
        run(direction, view) {
          if (direction === GET) {
            view.setUint32(0, MIGRATION_STATE[variant.state], true);
            view.setInt32(4, -1, true);
            return 0;
          }
          const outcome = variant.setState(view.getUint32(0, true));
          view.setInt32(4, "fd" in outcome ? outcome.fd : -1, true);
          return "errno" in outcome ? outcome.errno : 0;
        },
      };
    default:
      return undefined;
  }
}

function loggingFeature({ log, settings }: FakeFunction, id: number): Answer | undefined {
  if (settings.logsWrites !== true) return undefined;
  switch (id) {
    case FEATURE.DMA_LOGGING_START:
      return {
        directions: SET,
        bytes: 24,
        run: (_d, view, pointers) => log.start(view, pointers, 24),
      };
    case FEATURE.DMA_LOGGING_STOP:
      return { directions: SET, bytes: 0, run: () => log.stop() };
    case FEATURE.DMA_LOGGING_REPORT:
      return {
        directions: GET,
        bytes: 32,
        run: (_d, view, pointers) => log.report(view, pointers, 32),
      };
    default:
      return undefined;
  }
}

function otherFeature(fn: FakeFunction, id: number): Answer | undefined {
  const { lowPower, exportsRegions, regions } = fn.settings;
  switch (id) {
    case FEATURE.PCI_VF_TOKEN:
      return set(16, (view) => {
        const hex = Array.from({ length: 16 }, (_, i) =>
          view.getUint8(i).toString(16).padStart(2, "0"),
        );
        fn.token = hex.join("").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
      });
    case FEATURE.LOW_POWER_ENTRY:
      return lowPower === true ? set(0, () => void (fn.asleep = true)) : undefined;
    case FEATURE.LOW_POWER_ENTRY_WITH_WAKEUP:
      if (lowPower !== true) return undefined;
      return {
        directions: SET,
        bytes: 8,
        run(_direction, view) {
          if (view.getInt32(0, true) < 0 || view.getUint32(4, true) !== 0) return no("EINVAL");
          fn.asleep = true;
          return 0;
        },
      };
    case FEATURE.LOW_POWER_EXIT:
      return lowPower === true ? set(0, () => void (fn.asleep = false)) : undefined;
    case FEATURE.DMA_BUF:
      if (exportsRegions !== true) return undefined;
      return {
        directions: GET,
        bytes: 16,
        run(_direction, view) {
          const region = regions[view.getUint32(0, true)];
          const count = view.getUint32(12, true);
          if (region === undefined || view.getUint32(8, true) !== 0 || count === 0)
            return no("EINVAL");
          if (view.byteLength < 16 + count * 16) return no("EFAULT");
          return fn.io.installDevice({});
        },
      };
    default:
      return undefined;
  }
}

function get(bytes: number, fill: (view: DataView) => void): Answer {
  return {
    directions: GET,
    bytes,
    run(_direction, view) {
      fill(view);
      return 0;
    },
  };
}

function set(bytes: number, take: (view: DataView) => void): Answer {
  return {
    directions: SET,
    bytes,
    run(_direction, view) {
      take(view);
      return 0;
    },
  };
}
