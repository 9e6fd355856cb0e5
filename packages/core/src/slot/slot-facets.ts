import type { IovaRange } from "../device/dma.ts";
import type { DmaLoggingFacet, DmaLoggingStart } from "../dirty/dma-logging-facet.ts";
import type { MigrationFacet, PrecopyInfo } from "../migration/migration-facet.ts";
import type { MigrationCapabilities, MigrationState } from "../migration/states.ts";

/** What the facets below need of their slot. */
export interface SlotView<Facet> {
  /** That of the device which is in the slot now. */
  readonly facet: () => Facet;
  readonly replacing: () => boolean;
  /** Settles when no replacement runs. */
  readonly settled: () => Promise<void>;
}

/** The migration of whatever device is in the slot; a replacement is not the user's, who sees RUNNING. */
export class SlotMigration implements MigrationFacet {
  readonly #slot: SlotView<MigrationFacet>;
  #changes = 0;

  constructor(slot: SlotView<MigrationFacet>) {
    this.#slot = slot;
  }

  /** True while a change that the user asked for is under way. */
  get busy(): boolean {
    return this.#changes > 0;
  }

  get capabilities(): MigrationCapabilities {
    return this.#slot.facet().capabilities;
  }

  get state(): MigrationState {
    return this.#slot.replacing() ? "running" : this.#slot.facet().state;
  }

  async setState(target: MigrationState): Promise<void> {
    await this.#slot.settled();
    this.#changes += 1;
    try {
      await this.#slot.facet().setState(target);
    } finally {
      this.#changes -= 1;
    }
  }

  async readData(into: Uint8Array): Promise<number> {
    await this.#slot.settled();
    return this.#slot.facet().readData(into);
  }

  async writeData(from: Uint8Array): Promise<void> {
    await this.#slot.settled();
    await this.#slot.facet().writeData(from);
  }

  async dataSize(): Promise<number> {
    await this.#slot.settled();
    return this.#slot.facet().dataSize();
  }

  async precopyInfo(): Promise<PrecopyInfo> {
    await this.#slot.settled();
    return this.#slot.facet().precopyInfo();
  }
}

/** The log of writes of whatever device is in the slot. */
export class SlotLogging implements DmaLoggingFacet {
  readonly #slot: SlotView<DmaLoggingFacet>;
  #running = false;

  constructor(slot: SlotView<DmaLoggingFacet>) {
    this.#slot = slot;
  }

  /** True from the user's start to its stop. */
  get running(): boolean {
    return this.#running;
  }

  async start(request: DmaLoggingStart): Promise<number> {
    await this.#slot.settled();
    // From here on, so that nothing is replaced while it starts.
    const before = this.#running;
    this.#running = true;
    try {
      return await this.#slot.facet().start(request);
    } catch (error) {
      this.#running = before;
      throw error;
    }
  }

  async stop(): Promise<void> {
    await this.#slot.settled();
    await this.#slot.facet().stop();
    this.#running = false;
  }

  async report(range: IovaRange, pageSize: number, bitmap: Uint8Array): Promise<void> {
    await this.#slot.settled();
    await this.#slot.facet().report(range, pageSize, bitmap);
  }
}
