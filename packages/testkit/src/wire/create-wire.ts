import { type Clock, systemClock } from "@vfmig/core";
import type { WirePlace } from "./ipc.ts";
import { openLanLink } from "./lan-link.ts";
import type { PortLink } from "./link.ts";
import { createMemoryPort } from "./memory-port.ts";
import type { WirePort } from "./port.ts";
import { connectWirePort } from "./socket-link.ts";
import { Wire, type WireOptions } from "./wire.ts";

export interface CreateWireOptions extends Omit<WireOptions, "ports" | "clock"> {
  /** Ports that listen already, see {@link listenWirePort}, or networks. */
  readonly ports: readonly WirePlace[];
  readonly clock?: Clock;
}

/**
 * Joins ports over their sockets.
 * @throws VfmigError `ERR_VFMIG_WIRE_PORT`, `ERR_VFMIG_MAC_ADDRESS`
 */
export async function createWire(options: CreateWireOptions): Promise<Wire> {
  const links: { name: string; link: PortLink }[] = [];
  try {
    const { clock = systemClock } = options;
    for (const place of options.ports) {
      const link =
        "path" in place ? await connectWirePort(place.path) : openLanLink(place.lan, clock);
      links.push({ name: place.name, link });
    }
    return new Wire({ ...options, ports: links, clock });
  } catch (error) {
    for (const { link } of links) link.close();
    throw error;
  }
}

export interface MemoryWireOptions extends Omit<WireOptions, "ports"> {
  /** Names of the ports. */
  readonly ports: readonly string[];
}

export interface MemoryWire {
  readonly wire: Wire;
  /** The devices' ends, by name. */
  readonly ports: ReadonlyMap<string, WirePort>;
}

/** A wire and its ports in one process, for unit tests: a frame arrives within the call that sends it. */
export function createMemoryWire(options: MemoryWireOptions): MemoryWire {
  const pairs = options.ports.map((name) => ({ name, ...createMemoryPort(options.clock) }));
  const wire = new Wire({ ...options, ports: pairs.map(({ name, link }) => ({ name, link })) });
  return { wire, ports: new Map(pairs.map(({ name, port }) => [name, port])) };
}
