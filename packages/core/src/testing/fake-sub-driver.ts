import { z } from "zod";
import type { Arc } from "../migration/states.ts";
import type { SubDriverContext } from "../sub-driver/context.ts";
import type { SubDriverCapabilities, SubDriverDefinition } from "../sub-driver/definition.ts";
import type { DeviceDescription } from "../sub-driver/description.ts";
import type { MigrationOps, StateRecord, SubDriver } from "../sub-driver/facets.ts";
import { requiredArcs } from "../migration/next-state.ts";

type Duty = (signal: AbortSignal) => Promise<void>;

/** What a test changes in a {@link FakeSubDriver}. */
export interface FakeSubDriverParts extends Partial<Omit<SubDriver, "migration">> {
  readonly p2p?: boolean;
  readonly preCopy?: boolean;
  /** False: gives no migration at all. */
  readonly migrates?: boolean;
  readonly ops?: Partial<MigrationOps>;
  readonly records?: readonly StateRecord[];
  readonly precopyRecords?: readonly StateRecord[];
  readonly attach?: (context: SubDriverContext) => void | Promise<void>;
  readonly compare?: SubDriverDefinition["compare"];
}

/** A sub-driver that notes what core asks of it, and does what a test says. */
export class FakeSubDriver {
  readonly calls: string[] = [];
  /** Replaces what an arc does. */
  readonly duties = new Map<Arc, Duty>();
  readonly loaded: StateRecord[] = [];
  /** Replaces what taking a record, a commit or an abort does. */
  onRecord: (record: StateRecord) => void | Promise<void> = () => {};
  onCommit: Duty = async () => {};
  queues = 4;
  context: SubDriverContext | undefined;
  readonly #parts: FakeSubDriverParts;

  constructor(parts: FakeSubDriverParts = {}) {
    this.#parts = parts;
  }

  get arcs(): readonly string[] {
    return this.calls.filter((call) => call.includes("->"));
  }

  get definition(): SubDriverDefinition {
    const { migrates = true, compare } = this.#parts;
    const state = { version: 1, reads: [1], records: RECORDS };
    return {
      name: "fake-nic",
      version: "1.2.3",
      apiVersion: "^1.0.0",
      matches: [{ vendor: 0x8086, device: 0x154c }],
      privileges: [{ kind: "pf-register", what: "QTX_HEAD", why: "a test" }],
      capabilities: this.#capabilities(),
      ...(migrates ? { state } : {}),
      compare:
        compare ??
        ((source, target) =>
          Number(source.uses["queues"]) <= Number(target.offers["queues"])
            ? []
            : [
                {
                  field: "queues",
                  source: source.uses["queues"],
                  target: target.offers["queues"],
                  reason: "fewer queues here",
                },
              ]),
      attach: async (context) => {
        this.context = context;
        await this.#parts.attach?.(context);
        return this.#subDriver();
      },
    };
  }

  #capabilities(): SubDriverCapabilities {
    const { p2p = true, preCopy = true, migrates = true, dirtyTracking } = this.#parts;
    const migration: ("stop-copy" | "p2p" | "pre-copy")[] = ["stop-copy"];
    if (p2p) migration.push("p2p");
    if (preCopy) migration.push("pre-copy");
    return {
      ...(migrates ? { migration } : {}),
      ...(dirtyTracking === undefined ? {} : { dirtyTracking: "fake" }),
    };
  }

  #subDriver(): SubDriver {
    const { migrates = true, attach: _, p2p: __, preCopy: ___, ...parts } = this.#parts;
    return {
      describe: async () => this.#describe(),
      close: async () => void this.calls.push("close"),
      ...parts,
      ...(migrates ? { migration: this.#migration() } : {}),
    };
  }

  #describe(): DeviceDescription {
    return {
      driver: { name: "fake-nic", version: "1.2.3" },
      state: { version: 1, reads: [1] },
      device: { vendor: 0x8086, device: 0x154c },
      offers: { queues: this.queues },
      uses: { queues: this.queues },
    };
  }

  #migration(): MigrationOps {
    const { p2p = true, preCopy = true, ops } = this.#parts;
    const arcs: Partial<Record<Arc, Duty>> = {};
    for (const arc of requiredArcs({ p2p, preCopy })) {
      arcs[arc] = async (signal) => {
        this.calls.push(arc);
        await this.duties.get(arc)?.(signal);
      };
    }
    const early = this.#parts.precopyRecords ?? [];
    return {
      arcs,
      save: () => this.#parts.records ?? [{ type: "registers", value: { a: 1 } }],
      load: () => ({
        record: async (record) => {
          await this.onRecord(record);
          this.loaded.push(record);
        },
        commit: async (signal) => {
          this.calls.push("commit");
          await this.onCommit(signal);
        },
        abort: () => void this.calls.push("abort"),
      }),
      size: () => 1000,
      ...(preCopy
        ? {
            savePrecopy: () => early,
            precopyInfo: () => ({ initialBytes: 0, dirtyBytes: 0, reinit: false }),
          }
        : {}),
      ...ops,
    };
  }
}

const RECORDS = {
  registers: { id: 16, mandatory: true, schema: z.record(z.string(), z.int()) },
  ring: { id: 17, mandatory: true, schema: z.strictObject({ index: z.int() }) },
};
