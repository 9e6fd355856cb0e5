import { type Clock, systemClock, VfmigError } from "@vfmig/core";
import { MAX_WIRE_FRAME } from "../messages.ts";
import type { FrameVerdict, WirePort } from "../port.ts";
import { MIN_WIRE_FRAME } from "../wire-counters.ts";
import { MacTable, type StationOwner } from "./mac-table.ts";

/** Frames that wait while another one is on its way: those sent from within a delivery. */
const MAX_WAITING = 4096;

export interface SwitchOptions {
  readonly clock?: Clock;
  /** Milliseconds after which a silent station is forgotten, as IEEE 802.1Q has it. Default 300,000. */
  readonly ageMs?: number;
  /** Stations remembered for one port; its oldest one makes room. Default 1,024. */
  readonly stationsPerPort?: number;
  /** Default 64. */
  readonly maxPorts?: number;
}

/** What went through one port of a switch, in frames. */
export interface SwitchPortCounters {
  /** From the port's device. */
  received: number;
  /** To the port's device, which took them. */
  sent: number;
  /** To the port's device, which did not take them: full, stopped, or without buffers. */
  refused: number;
  /** From the port's device, to nobody: the destination is at this same port, or is a link's own. */
  filtered: number;
  /** From the port's device, to every other port: broadcast, multicast and unknown destinations. */
  flooded: number;
  /** From the port's device, dropped for being shorter than 14 or longer than 16,384 bytes. */
  malformed: number;
  /** From the port's device, dropped because too many frames were waiting. */
  overrun: number;
}

export interface SwitchPortReport extends Readonly<SwitchPortCounters> {
  readonly name: string;
  /** Stations known at this port, some of which may be old. */
  readonly stations: number;
}

export interface SwitchReport {
  readonly ports: readonly SwitchPortReport[];
  /** How often a station was found at another port than before. */
  readonly moves: number;
}

/** A device's place at a switch. */
export interface SwitchPort {
  /** A frame comes from the device; not kept. */
  input(frame: Uint8Array): void;
  /** Takes the port away, and forgets who was there. */
  leave(): void;
}

/** Takes one frame for a device, and does not keep it; false where the device did not take it. */
export type SwitchOutput = (frame: Uint8Array) => boolean;

/** A learning Ethernet switch; see {@link createSwitch}. */
export interface EthernetSwitch {
  /**
   * Adds a port whose device is in this process.
   * @throws VfmigError `ERR_VFMIG_SWITCH_PORT` where the name is taken or there are too many ports
   */
  port(name: string): WirePort;
  /**
   * Adds a port with an output of the caller's own.
   * @throws VfmigError `ERR_VFMIG_SWITCH_PORT`
   */
  join(name: string, output: SwitchOutput): SwitchPort;
  report(): SwitchReport;
}

/**
 * A switch: learns at which port each station is, hands what is for a known station to that port only
 * and everything else to all ports but the one it came from. A station that speaks at another port is
 * there from that frame on. Frames arrive in the order in which they came in.
 *
 * VLANs share one table. The addresses 01:80:c2:00:00:00 to 0f stay on their link.
 *
 * @example
 * const ethernet = createSwitch();
 * const a = createI40eVfModel({ ...options, name: "a", port: ethernet.port("a") });
 * const b = createI40eVfModel({ ...options, name: "b", port: ethernet.port("b") });
 */
export function createSwitch(options: SwitchOptions = {}): EthernetSwitch {
  return new LearningSwitch(options);
}

class Port implements StationOwner {
  readonly name: string;
  readonly output: SwitchOutput;
  readonly stations: Set<number> = new Set();
  readonly counters: SwitchPortCounters = {
    received: 0,
    sent: 0,
    refused: 0,
    filtered: 0,
    flooded: 0,
    malformed: 0,
    overrun: 0,
  };

  constructor(name: string, output: SwitchOutput) {
    this.name = name;
    this.output = output;
  }

  deliver(frame: Uint8Array): void {
    if (this.output(frame)) this.counters.sent++;
    else this.counters.refused++;
  }
}

class LearningSwitch implements EthernetSwitch {
  readonly #clock: Clock;
  readonly #maxPorts: number;
  readonly #table: MacTable<Port>;
  #ports: readonly Port[] = [];
  #moves = 0;
  #busy = false;
  #waiting: { readonly port: Port; readonly frame: Uint8Array }[] = [];

  constructor(options: SwitchOptions) {
    const { clock = systemClock, ageMs = 300_000, stationsPerPort = 1024, maxPorts = 64 } = options;
    this.#clock = clock;
    this.#maxPorts = maxPorts;
    this.#table = new MacTable({ ageMs, stationsPerPort });
  }

  join(name: string, output: SwitchOutput): SwitchPort {
    const taken = this.#ports.some((each) => each.name === name);
    if (taken || this.#ports.length >= this.#maxPorts) {
      throw new VfmigError(
        "ERR_VFMIG_SWITCH_PORT",
        taken
          ? `the switch has a port "${name}" already; choose another name`
          : `the switch has ${this.#maxPorts} ports, which is all it may have; allow more by maxPorts`,
        { layer: "testkit", details: { name, ports: this.#ports.length } },
      );
    }
    const port = new Port(name, output);
    this.#ports = [...this.#ports, port];
    return { input: (frame) => this.#input(port, frame), leave: () => this.#leave(port) };
  }

  port(name: string): WirePort {
    let receive: ((frame: Uint8Array) => FrameVerdict) | undefined;
    const place = this.join(name, (frame) => {
      const verdict = receive?.(frame) ?? "queue-disabled";
      // What a device's own filter leaves out has still been delivered.
      return verdict === "accepted" || verdict === "filtered";
    });
    return {
      transmit: (frame) => place.input(frame),
      attach: (next) => (receive = next),
      close() {
        receive = undefined;
        place.leave();
      },
    };
  }

  report(): SwitchReport {
    const ports = this.#ports.map(({ name, counters, stations }) => ({
      name,
      ...counters,
      stations: stations.size,
    }));
    return { ports, moves: this.#moves };
  }

  #leave(port: Port): void {
    this.#ports = this.#ports.filter((each) => each !== port);
    this.#table.forget(port);
  }

  #input(port: Port, frame: Uint8Array): void {
    if (!this.#ports.includes(port)) return;
    if (frame.length < MIN_WIRE_FRAME || frame.length > MAX_WIRE_FRAME) {
      port.counters.malformed++;
    } else if (!this.#busy) {
      this.#run(port, frame);
    } else if (this.#waiting.length < MAX_WAITING) {
      // Sent from within a delivery: a copy, since the sender may use its buffer again before then.
      this.#waiting.push({ port, frame: frame.slice() });
    } else {
      port.counters.overrun++;
    }
  }

  #run(port: Port, frame: Uint8Array): void {
    this.#busy = true;
    try {
      this.#forward(port, frame);
      for (let at = 0; at < this.#waiting.length; at++) {
        const next = this.#waiting[at];
        if (next !== undefined && this.#ports.includes(next.port)) {
          this.#forward(next.port, next.frame);
        }
      }
    } finally {
      if (this.#waiting.length > 0) this.#waiting = [];
      this.#busy = false;
    }
  }

  #forward(from: Port, frame: Uint8Array): void {
    const { counters } = from;
    counters.received++;
    const now = this.#clock.now();
    const source = address(frame, 6);
    // A group address cannot speak, and nobody is all zeros.
    if (!isGroup(frame, 6) && source !== 0 && this.#table.learn(source, from, now)) this.#moves++;
    if (isLinkLocal(frame)) {
      counters.filtered++;
      return;
    }
    const to = isGroup(frame, 0) ? undefined : this.#table.find(address(frame, 0), now);
    if (to === undefined) this.#flood(from, frame);
    else if (to === from) counters.filtered++;
    else to.deliver(frame);
  }

  #flood(from: Port, frame: Uint8Array): void {
    from.counters.flooded++;
    for (const port of this.#ports) {
      // A device may leave while another one takes the frame.
      if (port !== from && this.#ports.includes(port)) port.deliver(frame);
    }
  }
}

/** The six bytes at `at` as one number, below 2^48. */
function address(frame: Uint8Array, at: number): number {
  const high = ((frame[at] ?? 0) << 8) | (frame[at + 1] ?? 0);
  const low =
    ((frame[at + 2] ?? 0) << 24) |
    ((frame[at + 3] ?? 0) << 16) |
    ((frame[at + 4] ?? 0) << 8) |
    (frame[at + 5] ?? 0);
  return high * 0x1_0000_0000 + (low >>> 0);
}

function isGroup(frame: Uint8Array, at: number): boolean {
  return ((frame[at] ?? 0) & 1) !== 0;
}

const LINK_LOCAL = 0x0180_c200_0000;

/** IEEE 802.1Q 8.6.3: what bridges do not forward, such as pause frames and spanning tree. */
function isLinkLocal(frame: Uint8Array): boolean {
  const to = address(frame, 0);
  return to >= LINK_LOCAL && to <= LINK_LOCAL + 0xf;
}
