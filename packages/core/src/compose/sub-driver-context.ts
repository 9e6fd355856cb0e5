import type { Clock } from "../clock.ts";
import type { VfioDevice } from "../device/vfio-device.ts";
import { VfmigError } from "../errors/vfmig-error.ts";
import type { Logger } from "../logger.ts";
import type { BaseAccess, SubDriverContext } from "../sub-driver/context.ts";
import type { GuestDma } from "./guest-dma.ts";
import type { Interrupts } from "./interrupts.ts";
import { baseError } from "./plugin-guard.ts";

export interface ContextParts<Options> {
  readonly base: VfioDevice;
  readonly dma: GuestDma;
  readonly interrupts: Interrupts;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly options: Options;
  readonly facts: Readonly<Record<string, unknown>>;
}

/** The narrow view of base and guest that a sub-driver gets; `end` shuts it for good. */
export function createContext<Options>(parts: ContextParts<Options>): {
  readonly context: SubDriverContext<Options>;
  readonly end: () => void;
} {
  const { dma, interrupts, logger, clock, options, facts } = parts;
  const base = new GuardedBase(parts.base);
  const context: SubDriverContext<Options> = {
    base,
    memory: dma.memory,
    dma: { allocate: (bytes) => dma.private.allocate(bytes) },
    interrupts: {
      intercept: (index, vector, onSignal) => {
        base.assertOpen();
        return interrupts.intercept(index, vector, onSignal);
      },
    },
    onMap: (callback) => dma.onMap(callback),
    onUnmap: (callback) => dma.onUnmap(callback),
    logger,
    clock,
    options,
    facts,
  };
  return { context: Object.freeze(context), end: () => base.end() };
}

/** The base's accesses and reset, and nothing else of it; its errors say that they are the base's. */
class GuardedBase implements BaseAccess {
  readonly #base: VfioDevice;
  #ended = false;

  constructor(base: VfioDevice) {
    this.#base = base;
  }

  get info(): BaseAccess["info"] {
    return this.#base.info;
  }

  readRegion(index: number, offset: number, into: Uint8Array): void {
    this.assertOpen();
    try {
      this.#base.readRegion(index, offset, into);
    } catch (error) {
      throw baseError(`a read of region ${index} at offset ${offset}`, error);
    }
  }

  writeRegion(index: number, offset: number, from: Uint8Array): void {
    this.assertOpen();
    try {
      this.#base.writeRegion(index, offset, from);
    } catch (error) {
      throw baseError(`a write of region ${index} at offset ${offset}`, error);
    }
  }

  async reset(): Promise<void> {
    this.assertOpen();
    try {
      await this.#base.reset();
    } catch (error) {
      throw baseError("a reset", error);
    }
  }

  assertOpen(): void {
    if (this.#ended) throw closedError();
  }

  end(): void {
    this.#ended = true;
  }
}

/** The refusal of a call that came after the device was closed. */
export function closedError(): VfmigError {
  return new VfmigError("ERR_VFMIG_DEVICE_CLOSED", "The device is closed; open it again.", {
    layer: "core",
    details: { errno: "ENODEV" },
  });
}
