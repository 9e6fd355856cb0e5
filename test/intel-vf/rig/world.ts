import {
  compose,
  type ComposedDevice,
  type ComposeOptions,
  PCI_REGION,
  type SubDriverDefinition,
  type VfioDevice,
} from "@vfmig/core";
import {
  createGuestDriver,
  createLoosePort,
  createManualClock,
  createMappingUser,
  directEvent,
  FlowLedger,
  type VirtchnlGuestDriver,
  type GuestDriverOptions,
  type GuestFault,
  GuestRam,
  type I40eVfModel,
  type LoosePort,
  type ManualClock,
  type MappingManners,
  markFrame,
  settle,
  withMappableRegions,
} from "@vfmig/testkit";
import { type VfOptions, vfOptionsSchema } from "@vfmig/iavf/vf";
import { type Family, I40E, type ModelOptions } from "./family.ts";

export type { ModelOptions } from "./family.ts";

export const GUEST_MAC = "02:00:00:00:00:0a";
export const RAM_IOVA = 0x1_0000_0000n;
export const PAGE = 4096;
const RAM_SIZE = 14 << 20;
const FLOWS = 8;

/** One host: a model of the VF, the plugin on it, and the memory that the guest has there. */
export interface Host {
  readonly model: I40eVfModel;
  readonly port: LoosePort;
  readonly device: ComposedDevice;
  /** What the guest's VMM makes of the device; the device itself where nobody maps anything. */
  readonly user: VfioDevice;
  readonly ram: Uint8Array;
}

export interface WorldOptions {
  /** What kind of VF the hosts have. Default {@link I40E}. */
  readonly family?: Family;
  readonly models?: readonly ModelOptions[];
  readonly driver?: Partial<GuestDriverOptions>;
  readonly plugin?: SubDriverDefinition<VfOptions>;
  readonly options?: Readonly<Record<string, unknown>>;
  /** Whether the guest's driver is started. Default true. */
  readonly start?: boolean;
  /** BAR0 can be mapped, and a user with these manners does. Default: it cannot. */
  readonly mapping?: MappingManners;
  readonly limits?: ComposeOptions["limits"];
}

/** Two or more hosts, one guest, and traffic that is counted frame by frame. */
export class World {
  readonly clock: ManualClock = createManualClock();
  readonly hosts: Host[] = [];
  readonly faults: GuestFault[] = [];
  readonly inward: FlowLedger = new FlowLedger(flowNumbers());
  readonly outward: FlowLedger = new FlowLedger(flowNumbers());
  driver!: VirtchnlGuestDriver;
  ram!: GuestRam;
  /** The host on which the guest's device runs. */
  at = 0;
  /** Frames of each flow that a device took, and that the guest handed over. */
  readonly taken: Uint32Array = new Uint32Array(FLOWS);
  readonly given: Uint32Array = new Uint32Array(FLOWS);
  /** Frames that came in while no device took them. */
  missed = 0;
  #turn = 0;

  static async create(options: WorldOptions = {}): Promise<World> {
    const world = new World();
    const models = options.models ?? [{}, {}];
    for (const [index, model] of models.entries()) {
      // oxlint-disable-next-line no-await-in-loop -- one host after the other
      world.hosts.push(await world.#host(index, model, options));
    }
    const { user, ram } = world.host;
    world.ram = new GuestRam({ bytes: ram, iova: RAM_IOVA });
    world.driver = createGuestDriver({
      device: user,
      ram: world.ram,
      clock: world.clock,
      createEvent: directEvent,
      onFrame: (frame) => world.inward.receive(frame),
      onFault: (fault) => world.faults.push(fault),
      ...options.driver,
    });
    if (options.start !== false) {
      await world.settle(world.driver.start());
    }
    return world;
  }

  async #host(index: number, options: ModelOptions, world: WorldOptions): Promise<Host> {
    const port = createLoosePort(this.clock);
    const { family = I40E } = world;
    const model = family.createModel({
      name: `vf${index}`,
      mac: GUEST_MAC,
      vsiId: family.vsiIds[index % 2] ?? 1,
      ...options,
      port: port.port,
      clock: this.clock,
    });
    const plugin = world.plugin ?? family.plugin;
    const { mapping } = world;
    const hardware = model.device;
    const base =
      mapping === undefined ? hardware : withMappableRegions(hardware, [PCI_REGION.BAR0]);
    const device = await compose(base, plugin, {
      clock: this.clock,
      options: vfOptionsSchema.parse(world.options ?? {}),
      limits: world.limits ?? {},
    });
    const user =
      mapping === undefined
        ? device
        : createMappingUser({ device, hardware, clock: this.clock, manners: mapping });
    const ram = new Uint8Array(RAM_SIZE);
    mapRam(device, ram);
    return { model, port, device, user, ram };
  }

  get host(): Host {
    return this.hostAt(this.at);
  }

  hostAt(index: number): Host {
    const host = this.hosts.at(index);
    if (host === undefined) {
      throw new Error(`there is no host ${index}`);
    }
    return host;
  }

  /** Turns the clock until `promise` settles. */
  settle<T>(promise: PromiseLike<T>, onTurn?: () => void): Promise<T> {
    return settle(this.clock, promise, { onTurn });
  }

  /** One frame each way on the next flow; the guest's only if it runs. */
  frame(length = 200): void {
    const flow = this.#turn++ % FLOWS;
    const inward = markFrame(udp(0x0b, 0x0a, flow, length), flow).stamp(this.taken[flow] ?? 0);
    if (this.host.port.deliver(inward) === "accepted") {
      this.taken[flow] = (this.taken[flow] ?? 0) + 1;
    } else {
      this.missed++;
    }
    const outward = markFrame(udp(0x0a, 0x0b, flow, length), flow).stamp(this.given[flow] ?? 0);
    if (this.driver.send(outward)) {
      this.given[flow] = (this.given[flow] ?? 0) + 1;
    }
  }

  /** `count` frames each way, with time for the guest now and then. */
  traffic(count: number, length?: number): void {
    for (let n = 0; n < count; n++) {
      this.frame(length);
      if (n % 16 === 15) {
        this.clock.advance(0.5);
      }
    }
  }

  /** Lets everything arrive, and counts what the wire got. */
  quiesce(): void {
    this.clock.advance(5);
    this.collect();
  }

  /** Takes what the hosts sent: marked frames into the ledger, the rest is returned. */
  collect(): Uint8Array[] {
    const others: Uint8Array[] = [];
    for (const { port } of this.hosts) {
      for (const frame of port.sent.splice(0)) {
        if (this.outward.receive(frame) === "unmarked") {
          others.push(frame);
        }
      }
    }
    return others;
  }

  /** What is wrong with the traffic so far; empty if each frame arrived once, whole and in order. */
  wrongs(): string[] {
    const found: string[] = this.faults.map((fault) => `guest: ${fault.message}`);
    for (const [name, ledger, sent] of [
      ["in", this.inward, this.taken],
      ["out", this.outward, this.given],
    ] as const) {
      for (const flow of ledger.snapshot().flows) {
        const { delivered, duplicated, reordered, corrupted } = flow;
        const expected = sent[flow.flow] ?? 0;
        if (delivered !== expected || duplicated + reordered + corrupted > 0) {
          found.push(
            `${name} flow ${flow.flow}: ${delivered} of ${expected}, ` +
              `${duplicated} twice, ${reordered} out of order, ${corrupted} corrupted`,
          );
        }
      }
    }
    return found;
  }

  async close(): Promise<void> {
    for (const { device } of this.hosts) {
      // oxlint-disable-next-line no-await-in-loop -- one host after the other
      await this.settle(device[Symbol.asyncDispose]());
    }
  }
}

export function mapRam(device: VfioDevice, bytes: Uint8Array): void {
  const size = BigInt(bytes.length);
  void device.mapDma({ iova: RAM_IOVA, size, read: true, write: true, memory: { bytes } });
}

function flowNumbers(): number[] {
  return Array.from({ length: FLOWS }, (_, flow) => flow);
}

/** A UDP frame; `flow` chooses the ports, and with them the queues. */
export function udp(from: number, to: number, flow: number, length: number): Uint8Array {
  const frame = new Uint8Array(length);
  frame.set([2, 0, 0, 0, 0, to, 2, 0, 0, 0, 0, from, 8, 0, 0x45, 0]);
  frame.set([(length - 14) >> 8, (length - 14) & 0xff], 16);
  frame.set([64, 17], 22);
  frame.set([192, 0, 2, from, 192, 0, 2, to, 0x10, flow, 0x20, flow], 26);
  frame.set([(length - 34) >> 8, (length - 34) & 0xff], 38);
  let sum = 0;
  for (let at = 14; at < 34; at += 2) {
    sum += ((frame[at] ?? 0) << 8) | (frame[at + 1] ?? 0);
  }
  const check = ~((sum & 0xffff) + (sum >>> 16)) & 0xffff;
  frame.set([check >> 8, check & 0xff], 24);
  return frame;
}
