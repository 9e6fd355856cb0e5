/** Who a table remembers for a station; what it is, is the switch's affair. */
export interface StationOwner {
  /** Addresses learned at this port, oldest first. */
  readonly stations: Set<number>;
}

interface Station<Owner> {
  owner: Owner;
  seenMs: number;
}

export interface MacTableOptions {
  /** Milliseconds after which a silent station is forgotten. */
  readonly ageMs: number;
  /** Stations of one port at most; its oldest one makes room. */
  readonly stationsPerPort: number;
}

/**
 * Which station is at which port. The bound is for each port, so that a guest that invents addresses
 * pushes out its own and nobody else's.
 */
export class MacTable<Owner extends StationOwner> {
  readonly #options: MacTableOptions;
  readonly #stations = new Map<number, Station<Owner>>();

  constructor(options: MacTableOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#stations.size;
  }

  /** Notes that `mac` spoke at `owner`; true where it was known at another port. */
  learn(mac: number, owner: Owner, nowMs: number): boolean {
    const known = this.#stations.get(mac);
    if (known?.owner === owner) {
      known.seenMs = nowMs;
      return false;
    }
    if (known !== undefined) known.owner.stations.delete(mac);
    this.#makeRoom(owner);
    owner.stations.add(mac);
    this.#stations.set(mac, { owner, seenMs: nowMs });
    return known !== undefined;
  }

  /** Where `mac` is; undefined where nobody knows, or it has been silent for too long. */
  find(mac: number, nowMs: number): Owner | undefined {
    const known = this.#stations.get(mac);
    if (known === undefined) return undefined;
    if (nowMs - known.seenMs < this.#options.ageMs) return known.owner;
    this.#forgetStation(mac, known.owner);
    return undefined;
  }

  /** Forgets every station of `owner`. */
  forget(owner: Owner): void {
    for (const mac of owner.stations) this.#stations.delete(mac);
    owner.stations.clear();
  }

  #makeRoom(owner: Owner): void {
    if (owner.stations.size < this.#options.stationsPerPort) return;
    const [oldest] = owner.stations;
    if (oldest !== undefined) this.#forgetStation(oldest, owner);
  }

  #forgetStation(mac: number, owner: Owner): void {
    this.#stations.delete(mac);
    owner.stations.delete(mac);
  }
}
