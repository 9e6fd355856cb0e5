import {
  compose,
  type ComposedDevice,
  type Logger,
  PCI_REGION,
  type VfioDevice,
} from "@vfmig/core";
import {
  createManualClock,
  createMappingUser,
  directEvent,
  FlowLedger,
  type GuestDriver,
  type GuestDriverOptions,
  type GuestFault,
  GuestRam,
  type ManualClock,
  type MappingManners,
  type MappingUser,
  markFrame,
  settle,
  withMappableRegions,
} from "@vfmig/testkit";
import { createIgbGuestDriver } from "@vfmig/testkit/guest-igb";
import igbVf from "../index.ts";
import { optionsSchema } from "../options.ts";
import { Nic, type NicOptions } from "./nic.ts";

export const GUEST_MAC = "02:00:00:00:00:0a";
export const RAM_IOVA = 0x1_0000_0000n;
export const PAGE = 4096;
const RAM_SIZE = 6 << 20;
/** Milliseconds of the manual clock between two looks at what is awaited. */
const STEP_MS = 0.25;

export interface WorldOptions {
  readonly nic?: Partial<NicOptions>;
  readonly driver?: Partial<GuestDriverOptions>;
  readonly options?: Readonly<Record<string, unknown>>;
  /** Before the guest's driver is started. */
  readonly prepare?: (world: World) => void;
  /** Whether it is. Default true. */
  readonly start?: boolean;
  /** Whether the base lets a user map BAR0. Default true. */
  readonly mappable?: boolean;
  /** Whether the guest's VMM maps what it may of BAR0, and how it answers when it is to let go. Default false. */
  readonly maps?: boolean | MappingManners;
}

/** Two VFs of one card with the plugin on each, one guest, and traffic that is counted frame by frame. */
export class World {
  readonly clock: ManualClock = createManualClock();
  readonly nic: Nic;
  readonly devices: ComposedDevice[] = [];
  /** Where the VMM maps BAR0: the devices as the guest reaches them. */
  readonly users: MappingUser[] = [];
  readonly rams: Uint8Array[] = [];
  readonly faults: GuestFault[] = [];
  readonly warnings: string[] = [];
  readonly inward: FlowLedger = new FlowLedger([0]);
  readonly outward: FlowLedger = new FlowLedger([0]);
  driver!: GuestDriver;
  /** The VF that the guest has. */
  at = 0;
  taken = 0;
  given = 0;
  missed = 0;

  private constructor(options: WorldOptions) {
    this.nic = new Nic({ clock: this.clock, ...options.nic });
  }

  static async create(options: WorldOptions = {}): Promise<World> {
    const world = new World(options);
    const say = (text: string, details: object = {}): void =>
      void world.warnings.push([text, ...Object.values(details).map(String)].join(" "));
    const logger: Logger = { debug() {}, info() {}, warn: say, error: say };
    for (const vf of world.nic.vfs) {
      const base = options.mappable === false ? vf : withMappableRegions(vf, [PCI_REGION.BAR0]);
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const device = await compose(base, igbVf, {
        clock: world.clock,
        logger,
        options: optionsSchema.parse(options.options ?? {}),
      });
      const bytes = new Uint8Array(RAM_SIZE);
      const size = BigInt(RAM_SIZE);
      void device.mapDma({ iova: RAM_IOVA, size, read: true, write: true, memory: { bytes } });
      world.devices.push(device);
      if (options.maps !== undefined && options.maps !== false) {
        const manners = options.maps === true ? "prompt" : options.maps;
        const user = { device, hardware: vf, clock: world.clock, manners, name: "the VMM" };
        world.users.push(createMappingUser(user));
      }
      world.rams.push(bytes);
    }
    options.prepare?.(world);
    world.driver = createIgbGuestDriver({
      device: world.reach(world.at),
      ram: new GuestRam({ bytes: world.ram, iova: RAM_IOVA }),
      clock: world.clock,
      createEvent: directEvent,
      onFrame: (frame) => world.inward.receive(frame),
      onFault: (fault) => world.faults.push(fault),
      ringSize: 64,
      mac: GUEST_MAC,
      ...options.driver,
    });
    if (options.start !== false) await world.settle(world.driver.start());
    return world;
  }

  get device(): ComposedDevice {
    return this.deviceAt(this.at);
  }

  get ram(): Uint8Array {
    return this.rams[this.at] ?? new Uint8Array(0);
  }

  deviceAt(index: number): ComposedDevice {
    const device = this.devices.at(index);
    if (device === undefined) throw new Error(`there is no VF ${index}`);
    return device;
  }

  /** A device as the guest reaches it. */
  reach(index: number): VfioDevice {
    return this.users.at(index) ?? this.deviceAt(index);
  }

  /** Turns the clock until `promise` settles. */
  settle<T>(promise: PromiseLike<T>, onTurn?: () => void): Promise<T> {
    return settle(this.clock, promise, { onTurn });
  }

  /** Lets `ms` milliseconds pass, and all that waits for promises and the clock go on. */
  async pass(ms: number): Promise<void> {
    const until = this.clock.now() + ms;
    for (;;) {
      // oxlint-disable-next-line no-await-in-loop -- promises settle between turns of the clock
      await new Promise<void>((resolve) => void setImmediate(resolve));
      if (this.clock.now() >= until) return;
      this.clock.advance(STEP_MS);
    }
  }

  /** One frame each way; the guest's only if it runs. */
  frame(length = 200): void {
    const inward = markFrame(udp(0x0b, 0x0a, length), 0).stamp(this.taken);
    if (this.nic.deliver(inward).includes(this.at)) this.taken++;
    else this.missed++;
    const outward = markFrame(udp(0x0a, 0x0b, length), 0).stamp(this.given);
    if (this.driver.send(outward)) this.given++;
  }

  /** `count` frames each way, with time for the guest now and then. */
  traffic(count: number, length?: number): void {
    for (let n = 0; n < count; n++) {
      this.frame(length);
      if (n % 16 === 15) this.clock.advance(0.5);
    }
  }

  /** Lets everything arrive, and counts what the wire got; the rest is returned. */
  collect(): Uint8Array[] {
    this.clock.advance(5);
    const frames = this.nic.wire.splice(0);
    return frames.filter((frame) => this.outward.receive(frame) === "unmarked");
  }

  /** What is wrong with the traffic so far; empty if each frame arrived once, whole and in order. */
  wrongs(): string[] {
    const found: string[] = this.faults.map((fault) => `guest: ${fault.message}`);
    for (const [name, ledger, sent] of [
      ["in", this.inward, this.taken],
      ["out", this.outward, this.given],
    ] as const) {
      const { flows } = ledger.snapshot();
      const [flow] = flows;
      if (flow === undefined) throw new Error("the ledger has lost its flow");
      const { delivered, duplicated, reordered, corrupted } = flow;
      if (delivered === sent && duplicated + reordered + corrupted === 0) continue;
      const rest = `${duplicated} twice, ${reordered} out of order, ${corrupted} corrupted`;
      found.push(`${name}: ${delivered} of ${sent}, ${rest}`);
    }
    return found;
  }
}

/** A UDP frame between 02:00:00:00:00:`from` and 02:00:00:00:00:`to`. */
export function udp(from: number, to: number, length: number): Uint8Array {
  const frame = new Uint8Array(length);
  frame.set([2, 0, 0, 0, 0, to, 2, 0, 0, 0, 0, from, 8, 0, 0x45, 0]);
  frame.set([(length - 14) >> 8, (length - 14) & 0xff], 16);
  frame.set([64, 17], 22);
  frame.set([192, 0, 2, from, 192, 0, 2, to, 0x10, 0, 0x20, 0], 26);
  frame.set([(length - 34) >> 8, (length - 34) & 0xff], 38);
  return frame;
}
