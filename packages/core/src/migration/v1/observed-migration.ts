import type { MigrationFacet, PrecopyInfo } from "../migration-facet.ts";
import { isSaving } from "../next-state.ts";
import type { MigrationCapabilities, MigrationState } from "../states.ts";

/** A facet that tells when a session has ended, whoever asked for the state change. */
export class ObservedMigration implements MigrationFacet {
  readonly #facet: MigrationFacet;
  readonly #onEnd: () => void;

  constructor(facet: MigrationFacet, onEnd: () => void) {
    this.#facet = facet;
    this.#onEnd = onEnd;
  }

  get capabilities(): MigrationCapabilities {
    return this.#facet.capabilities;
  }

  get state(): MigrationState {
    return this.#facet.state;
  }

  async setState(target: MigrationState): Promise<void> {
    const before = this.#facet.state;
    try {
      await this.#facet.setState(target);
    } finally {
      const now = this.#facet.state;
      // Over PRE_COPY and STOP_COPY there is one session; every other change ends what there was.
      if (before !== now && !(isSaving(before) && isSaving(now))) this.#onEnd();
    }
  }

  readData(into: Uint8Array): Promise<number> {
    return this.#facet.readData(into);
  }

  writeData(from: Uint8Array): Promise<void> {
    return this.#facet.writeData(from);
  }

  dataSize(): Promise<number> {
    return this.#facet.dataSize();
  }

  precopyInfo(): Promise<PrecopyInfo> {
    return this.#facet.precopyInfo();
  }
}
