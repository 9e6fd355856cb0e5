import { type Clock, type Timer, VfmigError } from "@vfmig/core";
import type { SentFlow, StopDrops, StopWindow } from "../traffic/accounting.ts";
import { ETHERTYPE, isFrom, parseMac } from "../traffic/ethernet.ts";
import { FlowLedger, type LedgerSnapshot } from "../traffic/flow-ledger.ts";
import type { FrameSource } from "../traffic/frame-source.ts";
import { Pacer } from "../traffic/pacer.ts";
import { DrainGate } from "./drain-gate.ts";
import { FlowControl, PACED_PING_EVERY } from "./flow-control.ts";
import type { LinkVerdict, PortLink } from "./link.ts";
import type { FrameVerdict } from "./port.ts";
import { DropLog } from "./sent-log.ts";
import { WireSide } from "./wire-side.ts";

/** Frames after which a port is asked how far it is. */
const PING_EVERY = 64;
/** How long a port may take to say that it has handled everything, in milliseconds. */
const FLUSH_LIMIT_MS = 2000;
/** Flow under which frames of the caller's own are noted; no plan has so many. */
const LOOSE_FLOW = 0xffff;

export interface NamedLink {
  readonly name: string;
  readonly link: PortLink;
}

/** The connection moved to another port, since a frame of the guest came in there. */
export interface MovedEvent {
  readonly from: string;
  readonly to: string;
  /** `CLOCK_MONOTONIC`, milliseconds. */
  readonly timeMs: number;
}

/** A device took its first frame after its port was connected, or after it had refused one. */
export interface AcceptedEvent {
  readonly port: string;
  /** By the port's own process: `CLOCK_MONOTONIC`, milliseconds. */
  readonly timeMs: number;
}

export interface WireOptions {
  readonly ports: readonly NamedLink[];
  /** Port that is connected first; default the first one. */
  readonly connected?: string | undefined;
  /** Source address of the guest's frames. */
  readonly guestMac: string;
  /** What arrives for the guest. Absent: only {@link Wire.send}. */
  readonly source?: FrameSource | undefined;
  /** Frames of the source wait while a device asks for it (802.3x). Absent: what no device takes is lost. */
  readonly flowControl?: boolean | undefined;
  /** Numbers of the flows that the guest sends. */
  readonly fromGuest?: Iterable<number> | undefined;
  readonly clock: Clock;
  readonly onMoved?: ((event: MovedEvent) => void) | undefined;
  readonly onAccepted?: ((event: AcceptedEvent) => void) | undefined;
  /** A port is gone; `error` where it broke the protocol. */
  readonly onClosed?: ((port: string, error?: unknown) => void) | undefined;
  /** Each frame that comes from a device, in the wire's order; a view. */
  readonly onFrame?: ((frame: Uint8Array, port: string) => void) | undefined;
}

export interface WireProgress {
  /** Frames put on the wire for the guest. */
  readonly sent: number;
  /** Frames of the guest that arrived. */
  readonly received: number;
  /** Frames that devices refused. */
  readonly refused: number;
  /** Duplicated, reordered or corrupted frames of the guest. */
  readonly faults: number;
  readonly connected: string;
}

/** Everything that the wire knows; plain JSON. */
export interface WireReport extends WireProgress {
  readonly sentFlows: readonly SentFlow[];
  readonly fromGuest: LedgerSnapshot;
  /** Frames of stopped queues inside the windows, for {@link accountFlows}. */
  readonly drops: readonly StopDrops[];
  /** The same, counted per window; of ports that tell no verdicts, what was on the wire then. */
  readonly perWindow: readonly number[];
  readonly refusedByVerdict: Readonly<Partial<Record<FrameVerdict, number>>>;
  /** ARP and RARP frames of the guest without trailer: announcements of its place. */
  readonly announcements: number;
  /** Frames that a port's full or closed socket did not take; they are lost. */
  readonly overruns: number;
  /** How often the connection moved. */
  readonly moves: number;
  /** Schedule given up because the wire's process stood still, in milliseconds. */
  readonly forgivenMs: number;
  /** Time for which flow control held frames, in milliseconds. */
  readonly heldMs: number;
}

/**
 * A wire with one connected port, as a switch has for one station: a frame of the guest that comes in
 * at another port moves the connection there. It goes on by its own clock, whatever devices do.
 */
export class Wire {
  readonly #options: WireOptions;
  readonly #clock: Clock;
  readonly #guestMac: Uint8Array;
  readonly #sides: readonly WireSide[];
  readonly #ledger: FlowLedger;
  readonly #drops = new DropLog();
  readonly #gate: DrainGate;
  readonly #flowControl: FlowControl | undefined;
  #connected: WireSide;
  #pacer: Pacer | undefined;
  #windows: readonly StopWindow[] = [];
  #sent = 0;
  #overruns = 0;
  #announcements = 0;
  #moves = 0;
  #forgivenMs = 0;

  /** @throws VfmigError `ERR_VFMIG_WIRE_PORT`, `ERR_VFMIG_MAC_ADDRESS` */
  constructor(options: WireOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.#guestMac = parseMac(options.guestMac);
    this.#ledger = new FlowLedger(options.fromGuest ?? []);
    this.#gate = new DrainGate(options.clock, (side, frame) => this.#account(side, frame));
    this.#flowControl = options.flowControl === true ? new FlowControl(options.clock) : undefined;
    this.#sides = options.ports.map(({ name, link }) => new WireSide(name, link));
    const first = options.connected ?? options.ports[0]?.name;
    const connected = this.#sides.find(({ name }) => name === first);
    if (
      connected === undefined ||
      new Set(options.ports.map((p) => p.name)).size < options.ports.length
    ) {
      throw new VfmigError(
        "ERR_VFMIG_WIRE_PORT",
        `a wire needs ports with names of their own, and "${first}" among them`,
        { layer: "testkit", details: { ports: options.ports.map(({ name }) => name) } },
      );
    }
    this.#connected = connected;
    for (const side of this.#sides) this.#listen(side);
    connected.link.connect();
  }

  /** Name of the port that is connected. */
  get connected(): string {
    return this.#connected.name;
  }

  /**
   * Begins to play the source, `rate` frames a second.
   * @throws VfmigError `ERR_VFMIG_TRAFFIC_RATE`, `ERR_VFMIG_WIRE_COMMAND` without a source
   */
  start(rate: number): void {
    const source = this.#options.source;
    if (source === undefined) {
      throw new VfmigError("ERR_VFMIG_WIRE_COMMAND", "this wire has no source of frames to play", {
        layer: "testkit",
      });
    }
    this.#endPacer();
    this.#pacer = new Pacer({ clock: this.#clock, rate, emit: () => this.#emit(source) });
    this.#pacer.start();
  }

  /** Stops playing; settles once every port has handled what it got, or did not answer in 2 s. */
  async stop(): Promise<void> {
    this.#endPacer();
    await Promise.all(this.#sides.map((side) => this.#flush(side)));
  }

  /** Says when devices were stopped on purpose; a later call replaces the list. */
  setWindows(windows: readonly StopWindow[]): void {
    this.#windows = windows;
  }

  /** Sends one frame of the caller's own to the connected port. False where its socket is full. */
  send(frame: Uint8Array): boolean {
    const id = this.#connected.outstanding.add(LOOSE_FLOW, 0, this.#clock.now());
    return this.#connected.link.send(id, frame);
  }

  progress(): WireProgress {
    return {
      sent: this.#sent,
      received: this.#ledger.delivered,
      refused: this.#drops.count,
      faults: this.#ledger.faults,
      connected: this.connected,
    };
  }

  report(): WireReport {
    const { drops, perWindow, byVerdict } = this.#drops.summary(this.#windows);
    const ledger = this.#ledger.snapshot();
    return {
      ...this.progress(),
      sentFlows: this.#options.source?.sent() ?? [],
      fromGuest: { ...ledger, unmarked: ledger.unmarked - this.#announcements },
      drops,
      perWindow,
      refusedByVerdict: byVerdict,
      announcements: this.#announcements,
      overruns: this.#overruns,
      moves: this.#moves,
      forgivenMs: this.#forgivenMs + (this.#pacer?.forgivenMs ?? 0),
      heldMs: this.#flowControl?.heldMs ?? 0,
    };
  }

  close(): void {
    this.#endPacer();
    this.#gate.open();
    for (const side of this.#sides) side.link.close();
  }

  #endPacer(): void {
    this.#pacer?.stop();
    this.#forgivenMs += this.#pacer?.forgivenMs ?? 0;
    this.#pacer = undefined;
  }

  #emit(source: FrameSource): boolean {
    const side = this.#connected;
    if (this.#flowControl?.holds(side) === true) return false;
    const frame = source.peek();
    if (side.outstanding.full) {
      this.#overruns++;
    } else {
      const id = side.outstanding.add(source.flow, source.sequence, this.#clock.now());
      if (!side.link.send(id, frame)) this.#overruns++;
    }
    // What no port takes is lost.
    source.take();
    this.#sent++;
    const every = this.#flowControl === undefined ? PING_EVERY : PACED_PING_EVERY;
    if (this.#sent % every === 0) side.ping();
    return true;
  }

  #listen(side: WireSide): void {
    side.link.listen({
      frame: (frame) => this.#incoming(side, frame),
      verdict: (id, verdict, timeMs) => this.#verdict(side, id, verdict, timeMs),
      pong: (token) => side.pong(token),
      paused: (on) => (side.paused = on),
      closed: (error) => {
        side.closed();
        this.#options.onClosed?.(side.name, error);
      },
    });
  }

  #incoming(side: WireSide, frame: Uint8Array): void {
    const late = this.#gate.drains(side);
    if (side !== this.#connected && !late && isFrom(frame, this.#guestMac)) this.#move(side);
    if (!this.#gate.hold(side, frame)) this.#account(side, frame);
  }

  /** What the old port sent before the move still counts before what the new one sends. */
  #move(to: WireSide): void {
    const from = this.#connected;
    this.#connected = to;
    this.#moves++;
    to.link.connect();
    this.#gate.close(from);
    this.#options.onMoved?.({ from: from.name, to: to.name, timeMs: this.#clock.now() });
  }

  #account(side: WireSide, frame: Uint8Array): void {
    if (this.#ledger.receive(frame) === "unmarked" && this.#isAnnouncement(frame)) {
      this.#announcements++;
    }
    this.#options.onFrame?.(frame, side.name);
  }

  #isAnnouncement(frame: Uint8Array): boolean {
    const type = ((frame[12] ?? 0) << 8) | (frame[13] ?? 0);
    return (type === ETHERTYPE.ARP || type === ETHERTYPE.RARP) && isFrom(frame, this.#guestMac);
  }

  #verdict(side: WireSide, id: number, verdict: LinkVerdict, timeMs: number): void {
    if (verdict === "accepted") {
      this.#options.onAccepted?.({ port: side.name, timeMs });
      return;
    }
    const frame = side.outstanding.find(id);
    if (frame === undefined) return;
    const { flow, sequence, sentMs } = frame;
    this.#drops.add({ flow, sequence, verdict, fromMs: sentMs, toMs: timeMs });
  }

  async #flush(side: WireSide): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const timer: Timer = this.#clock.after(FLUSH_LIMIT_MS, () => resolve(undefined));
    side.ping(() => resolve(undefined));
    await promise;
    timer.cancel();
  }
}
