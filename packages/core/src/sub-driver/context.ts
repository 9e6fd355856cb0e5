import type { Clock } from "../clock.ts";
import type { DmaMapping, IovaRange } from "../device/dma.ts";
import type { DeviceInfo } from "../device/info.ts";
import type { Logger } from "../logger.ts";
import type { GuestMemory } from "../memory/guest-memory.ts";

/** Device-visible memory that the guest did not give; what is read back from it is hostile. */
export interface DmaBuffer extends Disposable {
  readonly iova: number;
  readonly bytes: Uint8Array;
  readonly data: DataView;
}

/** A vector whose signals reach the sub-driver instead of the VMM. */
export interface Interception {
  /** Signals the VMM's event, if it has set one. */
  signalGuest(): void;
  /** True while the VMM has an event for this vector. */
  readonly guestListens: boolean;
  /** Gives the vector back to the VMM, and signals it once so that no event is lost. */
  release(): void;
}

/** The base device as a sub-driver may use it: accesses and reset, no mappings and no irqs. */
export interface BaseAccess {
  readonly info: DeviceInfo;
  readRegion(index: number, offset: number, into: Uint8Array): void;
  writeRegion(index: number, offset: number, from: Uint8Array): void;
  reset(): Promise<void>;
}

/** Everything that a sub-driver gets. Nothing else is reachable from it. */
export interface SubDriverContext<Options = unknown> {
  readonly base: BaseAccess;
  readonly memory: GuestMemory;
  readonly dma: {
    /** Zeroed memory of `bytes` bytes (rounded up to pages), 4096-aligned in IOVA space. */
    allocate(bytes: number): DmaBuffer;
  };
  readonly interrupts: {
    /** `onSignal` runs on each signal of that vector until release; it must not throw. */
    intercept(index: number, vector: number, onSignal: () => void): Interception;
  };
  /** Calls back after a guest mapping was added; returns a function that ends it. */
  onMap(callback: (mapping: DmaMapping) => void): () => void;
  /** Calls back before a guest mapping goes; views into it are dropped when the callback returns. */
  onUnmap(callback: (range: IovaRange) => void): () => void;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly options: Options;
  /** Facts that a privileged helper granted, by the names that the manifest declares. */
  readonly facts: Readonly<Record<string, unknown>>;
}
