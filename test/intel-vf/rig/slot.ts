import {
  compose,
  createReplaceableDevice,
  type ReplaceableDevice,
  type ReplacementOutcome,
} from "@vfmig/core";
import { vfOptionsSchema } from "@vfmig/iavf/vf";
import { createGuestDriver, createLoosePort, directEvent } from "@vfmig/testkit";
import type { ModelOptions } from "./family.ts";
import { I40E } from "./family.ts";
import { Losses, status, under } from "./shadow.ts";
import { GUEST_MAC, type Host, mapRam, RAM_IOVA, World, type WorldOptions } from "./world.ts";

/** A world of one memory, in which devices of other PFs take the place of the guest's. */
export class SlotWorld {
  readonly world: World;
  readonly device: ReplaceableDevice;
  readonly lost: Losses = new Losses();
  readonly #options: WorldOptions;
  /** Where accesses waited, by the world's clock. */
  readonly #windows: { from: number; to: number }[] = [];
  /** The device that takes the place, until it has. */
  #coming: Host | undefined;

  private constructor(world: World, options: WorldOptions) {
    this.world = world;
    this.#options = options;
    this.device = createReplaceableDevice(world.host.device, {
      clock: world.clock,
      onWindow: (open) => this.#window(open),
    });
  }

  static async create(options: WorldOptions = {}): Promise<SlotWorld> {
    const world = await World.create({ ...options, models: [{}], start: false });
    const it = new SlotWorld(world, options);
    const { device, ram } = world.host;
    await device.unmapDma({ iova: RAM_IOVA, size: BigInt(ram.length) });
    mapRam(it.device, ram);
    world.driver = createGuestDriver({
      device: it.device,
      ram: world.ram,
      clock: world.clock,
      createEvent: directEvent,
      onFrame: (frame) => world.inward.receive(frame),
      onFault: (fault) => world.faults.push(fault),
      ...options.driver,
    });
    await world.settle(world.driver.start());
    return it;
  }

  /** Replaces the device by a fresh one of another PF, while frames flow. */
  async replace(
    model: ModelOptions = {},
    spoil: Spoil = (host) => host,
  ): Promise<ReplacementOutcome> {
    const { world } = this;
    const next = spoil(await this.#fresh(model));
    this.#coming = next;
    world.hosts.push(next);
    return await under(world, this.device.replace(next.device), this.lost);
  }

  /** Times at which frames were lost outside of every window. */
  lostOutside(): number[] {
    return this.lost
      .outside(this.world)
      .filter((time) => !this.#windows.some(({ from, to }) => time >= from && time <= to));
  }

  async close(): Promise<void> {
    await this.world.settle(this.device[Symbol.asyncDispose]());
  }

  async #fresh(options: ModelOptions): Promise<Host> {
    const { clock, hosts, host } = this.world;
    const { family = I40E, plugin = family.plugin } = this.#options;
    const port = createLoosePort(clock);
    const model = family.createModel({
      name: `vf${hosts.length}`,
      mac: GUEST_MAC,
      vsiId: family === I40E ? 100 + hosts.length : 1,
      ...options,
      port: port.port,
      clock,
    });
    const device = await compose(model.device, plugin, {
      clock,
      options: vfOptionsSchema.parse(this.#options.options ?? {}),
    });
    return { model, port, device, user: device, ram: host.ram };
  }

  #window(open: boolean): void {
    const { world } = this;
    if (open) {
      world.driver.pause();
      // The device that is there takes its log of switch windows with it.
      for (const { startedAt, ms } of status(world).switches) {
        this.#windows.push({ from: startedAt, to: startedAt + ms });
      }
      this.#windows.push({ from: world.clock.now(), to: Infinity });
      return;
    }
    const window = this.#windows.at(-1);
    if (window !== undefined) window.to = world.clock.now();
    if (this.device.current === this.#coming?.device) world.at = world.hosts.indexOf(this.#coming);
    world.driver.resume();
  }
}

/** What a test changes in the device that is to take the place. */
export type Spoil = (host: Host) => Host;
