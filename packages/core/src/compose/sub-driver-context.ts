import type { Clock } from "../clock.ts";
import { closedError } from "../device/closed-error.ts";
import type { VfioDevice } from "../device/vfio-device.ts";
import type { Logger } from "../logger.ts";
import type { IntendedChange } from "../sub-driver/intended-change.ts";
import type { BaseAccess, SubDriverContext } from "../sub-driver/context.ts";
import type { GuestDma } from "./guest-dma.ts";
import type { Interrupts } from "./interrupts.ts";
import type { BaseCalls } from "./base-calls.ts";
import { baseError } from "./plugin-guard.ts";

export interface ContextParts<Options> {
  readonly base: VfioDevice;
  readonly dma: GuestDma;
  readonly interrupts: Interrupts;
  readonly calls: BaseCalls;
  readonly regions: SubDriverContext["regions"];
  readonly logger: Logger;
  readonly clock: Clock;
  readonly options: Options;
  readonly facts: Readonly<Record<string, unknown>>;
  readonly intends: (change: IntendedChange) => void;
}

/** The narrow view of base and guest that a sub-driver gets; `end` shuts it for good. */
export function createContext<Options>(parts: ContextParts<Options>): {
  readonly context: SubDriverContext<Options>;
  readonly end: () => void;
} {
  const { dma, interrupts, logger, clock, options, facts, intends } = parts;
  let ended = false;
  const assertOpen = (): void => {
    if (ended) throw closedError();
  };
  const context: SubDriverContext<Options> = {
    base: createBaseAccess(parts.base, parts.calls, assertOpen),
    memory: dma.memory,
    dma: { allocate: (bytes) => dma.private.allocate(bytes) },
    interrupts: {
      intercept: (index, vector, onSignal) => {
        assertOpen();
        return interrupts.intercept(index, vector, onSignal);
      },
    },
    regions: {
      async trap(index, ranges, signal) {
        assertOpen();
        await parts.regions.trap(index, ranges, signal);
      },
      untrap(index, ranges) {
        assertOpen();
        parts.regions.untrap(index, ranges);
      },
    },
    onMap: (callback) => dma.onMap(callback),
    onUnmap: (callback) => dma.onUnmap(callback),
    logger,
    clock,
    options,
    facts,
    intends,
  };
  const end = (): void => {
    ended = true;
  };
  return { context: Object.freeze(context), end };
}

/** The base's accesses and reset, and nothing else of it; its errors say that they are the base's. */
function createBaseAccess(base: VfioDevice, calls: BaseCalls, assertOpen: () => void): BaseAccess {
  return {
    get info() {
      return base.info;
    },
    readRegion(index, offset, into) {
      assertOpen();
      try {
        base.readRegion(index, offset, into);
      } catch (error) {
        throw baseError(`a read of region ${index} at offset ${offset}`, error);
      }
    },
    writeRegion(index, offset, from) {
      assertOpen();
      try {
        base.writeRegion(index, offset, from);
      } catch (error) {
        throw baseError(`a write of region ${index} at offset ${offset}`, error);
      }
    },
    async reset() {
      assertOpen();
      try {
        await calls.within("a reset", base.reset());
      } catch (error) {
        throw baseError("a reset", error);
      }
    },
  };
}
