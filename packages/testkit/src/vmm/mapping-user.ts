import {
  hasType,
  IRQ_TYPE,
  type Clock,
  type DeviceInfo,
  type MappingNote,
  type MmapArea,
  type VfioDevice,
} from "@vfmig/core";
import { DelegatingDevice } from "./delegating-device.ts";

/**
 * How a user answers when it is asked to fetch the layout again. `prompt`: in the next turn. `late`: after
 * a while. `never`: it hears, and keeps what it has. `deaf`: it never set the event that would tell it.
 */
export type MappingManners = "prompt" | "late" | "never" | "deaf";

export interface MappingUserOptions {
  /** The device as it is served. */
  readonly device: VfioDevice;
  /** What a mapped page leads to: the device below everything that only sees messages. */
  readonly hardware: Pick<VfioDevice, "readRegion" | "writeRegion">;
  readonly clock: Clock;
  /** Default `prompt`. */
  readonly manners?: MappingManners;
  /** Milliseconds that a `late` user takes. Default 20. */
  readonly lateMs?: number;
  /** For the messages of refusals. Default `a mapping user`. */
  readonly name?: string;
}

/** A user of a device, such as a VMM, that maps what it may and is told what it may no longer. */
export interface MappingUser extends VfioDevice {
  /** What it holds mapped, by region. */
  mapped(region: number): readonly MmapArea[];
  /** Accesses that went by a mapping, past every process. */
  readonly direct: number;
  /** Accesses that went as messages to region `region`, in the page at `page`; all pages without it. */
  messages(region: number, page?: number): number;
  /** Forgets both counts. */
  clearCounts(): void;
  /** Changes how it answers from the next time on. */
  manners: MappingManners;
  /** Fetches the layout now, whatever its manners: lets go of what it may not have, maps the rest. */
  fetch(): void;
}

interface Mapped {
  readonly region: number;
  readonly area: MmapArea;
  readonly note: MappingNote | undefined;
}

const PAGE = 4096;

/**
 * A user that maps the regions of a device as far as it may. An access inside a mapped page goes straight
 * to the hardware, as that of a processor does, also while the user is asked to let go of it; every
 * other goes to the device as a message.
 */
export function createMappingUser(options: MappingUserOptions): MappingUser {
  return new User(options);
}

class User extends DelegatingDevice implements MappingUser {
  manners: MappingManners;
  direct = 0;
  readonly #options: MappingUserOptions;
  readonly #messages = new Map<number, number>();
  #mapped: readonly Mapped[] = [];
  #seen: DeviceInfo | undefined;
  #closed = false;

  constructor(options: MappingUserOptions) {
    super(options.device);
    this.#options = options;
    this.manners = options.manners ?? "prompt";
    if (this.manners !== "deaf") this.#listen();
    this.fetch();
  }

  #listen(): void {
    const irq = this.device.info.irqs.find(({ type }) => hasType(type, IRQ_TYPE.LAYOUT));
    if (irq === undefined) return;
    const events = [{ signal: () => this.#asked() }];
    const data = { kind: "event", events } as const;
    this.device.setIrqs({ index: irq.index, start: 0, count: 1, action: "trigger", data });
  }

  #asked(): void {
    const { clock, lateMs = 20 } = this.#options;
    const fetch = (): void => this.fetch();
    if (this.manners === "prompt") clock.soon(fetch);
    else if (this.manners === "late") clock.after(lateMs, fetch);
  }

  fetch(): void {
    const { info } = this.device;
    if (this.#closed || info === this.#seen) return;
    this.#seen = info;
    for (const { note } of this.#mapped) note?.[Symbol.dispose]();
    const { name = "a mapping user" } = this.#options;
    this.#mapped = info.regions.flatMap(({ index: region, mmap }) =>
      (mmap?.areas ?? []).map((area) => {
        const note = this.device.noteMapping?.(region, area, name);
        return { region, area, note };
      }),
    );
  }

  mapped(region: number): readonly MmapArea[] {
    return this.#mapped.filter((each) => each.region === region).map(({ area }) => area);
  }

  messages(region: number, page?: number): number {
    let sum = 0;
    for (const [key, count] of this.#messages) {
      const [index, at] = placeOf(key);
      if (index === region && (page === undefined || at === page)) sum += count;
    }
    return sum;
  }

  clearCounts(): void {
    this.direct = 0;
    this.#messages.clear();
  }

  override readRegion(index: number, offset: number, into: Uint8Array): void {
    this.#way(index, offset, into.length).readRegion(index, offset, into);
  }

  override writeRegion(index: number, offset: number, from: Uint8Array): void {
    this.#way(index, offset, from.length).writeRegion(index, offset, from);
  }

  #way(
    index: number,
    offset: number,
    length: number,
  ): Pick<VfioDevice, "readRegion" | "writeRegion"> {
    for (const { region, area } of this.#mapped) {
      const inside = area.offset <= offset && offset + length <= area.offset + area.size;
      if (region === index && inside) {
        this.direct++;
        return this.#options.hardware;
      }
    }
    const key = keyOf(index, offset);
    this.#messages.set(key, (this.#messages.get(key) ?? 0) + 1);
    return this.device;
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    for (const { note } of this.#mapped) note?.[Symbol.dispose]();
    this.#mapped = [];
    await super[Symbol.asyncDispose]();
  }
}

/** Regions are few, and no longer than what a double holds exactly with room for their number. */
const REGIONS = 64;

function keyOf(region: number, offset: number): number {
  return Math.floor(offset / PAGE) * REGIONS + region;
}

function placeOf(key: number): readonly [region: number, page: number] {
  return [key % REGIONS, Math.floor(key / REGIONS) * PAGE];
}
