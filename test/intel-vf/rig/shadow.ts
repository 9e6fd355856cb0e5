import {
  type DmaBuffer,
  PCI_REGION,
  type SubDriverContext,
  type SubDriverDefinition,
} from "@vfmig/core";
import { AQ_DESCRIPTOR_SIZE, AQ_FIELD, ATQ_REGISTERS } from "@vfmig/iavf";
import type { SwitchWindow, VfOptions } from "@vfmig/iavf/vf";
import type { RelayCounters } from "@vfmig/shadow-queue";
import { facets } from "./move.ts";
import { PAGE, RAM_IOVA, type World, type WorldOptions } from "./world.ts";

/** What the plugin says of shadow mode. */
export interface ShadowStatus {
  readonly open: readonly string[];
  readonly modes: readonly { readonly queue: number; readonly tx: string; readonly rx: string }[];
  readonly switches: readonly SwitchWindow[];
  readonly relayed: readonly {
    readonly queue: number;
    readonly tx: RelayCounters;
    readonly rx: RelayCounters;
  }[];
  readonly trapped: readonly {
    readonly region: number;
    readonly offset: number;
    readonly size: number;
  }[];
}

export function status(world: World): ShadowStatus {
  return world.host.device.driverStatus() as unknown as ShadowStatus;
}

/** Modes that any half of a pair is in. */
export function modes(world: World): Set<string> {
  return new Set(status(world).modes.flatMap(({ tx, rx }) => [tx, rx]));
}

/** Options of a world in the mode `while-saving`. */
export function whileSaving(options: WorldOptions = {}): WorldOptions {
  return {
    ...options,
    options: { shadow: "while-saving", handBack: true, ...options.options },
  };
}

/**
 * Frames each way, with turns of the event loop, in which what was begun goes on.
 *
 * @param lost - gets the times at which a frame came that no device took
 */
export async function flow(
  world: World,
  count: number,
  length?: number,
  lost: Losses = new Losses(),
): Promise<void> {
  for (let n = 0; n < count; n += 8) {
    for (let frame = 0; frame < 8; frame++) {
      const { missed } = world;
      world.frame(length);
      if (world.missed > missed) {
        lost.times.push(world.clock.now());
      }
    }
    world.clock.advance(0.25);
    // oxlint-disable-next-line no-await-in-loop -- traffic
    await turn();
  }
}

/** Time without frames, in milliseconds. */
export async function pass(world: World, ms: number): Promise<void> {
  for (let at = 0; at < ms; at += 5) {
    world.clock.advance(5);
    // oxlint-disable-next-line no-await-in-loop -- time goes on
    await turn();
  }
}

/** A turn of the event loop. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** Starts the log of device writes while frames flow. */
export async function startLog(world: World, lost?: Losses): Promise<void> {
  const { logging } = facets(world.host.device);
  const size = BigInt(world.host.ram.length);
  const started = logging.start({ pageSize: PAGE, ranges: [{ iova: RAM_IOVA, size }] });
  await under(world, started, lost);
}

export async function stopLog(world: World): Promise<void> {
  await world.settle(facets(world.host.device).logging.stop());
}

/** Waits for `promise` while frames flow. */
export async function under<T>(world: World, promise: Promise<T>, lost?: Losses): Promise<T> {
  const state = { over: false };
  const watched = promise.finally(() => {
    state.over = true;
  });
  watched.catch(() => {});
  for (let n = 0; n < 10_000 && !state.over; n++) {
    // oxlint-disable-next-line no-await-in-loop -- traffic
    await flow(world, 8, undefined, lost);
  }
  return await watched;
}

/** Frames until every pair is the guest's again; fails after `most` frames. */
export async function untilDirect(world: World, most = 40_000, lost?: Losses): Promise<void> {
  for (let n = 0; n < most; n += 64) {
    const found = modes(world);
    if (found.size === 1 && found.has("direct")) {
      return;
    }
    // oxlint-disable-next-line no-await-in-loop -- traffic
    await flow(world, 64, undefined, lost);
  }
  throw new Error(`no hand-back in ${most} frames: ${JSON.stringify(status(world).modes)}`);
}

/** A request on its way to the PF: what is changed in `body` is what the PF gets. */
export type Meddler = (opcode: number, body: Uint8Array) => void;

/** The plugin on a base that lets `meddle` touch each request just before the device's doorbell rings. */
export function meddling(
  plugin: SubDriverDefinition<VfOptions>,
  meddle: Meddler,
): SubDriverDefinition<VfOptions> {
  return { ...plugin, attach: (context) => plugin.attach(meddled(context, meddle)) };
}

function meddled(
  context: SubDriverContext<VfOptions>,
  meddle: Meddler,
): SubDriverContext<VfOptions> {
  const buffers: DmaBuffer[] = [];
  let ring = 0;
  let last = 0;
  const { base, dma } = context;
  return {
    ...context,
    dma: {
      allocate(bytes) {
        const buffer = dma.allocate(bytes);
        buffers.push(buffer);
        return buffer;
      },
    },
    base: {
      info: base.info,
      readRegion: (index, offset, into) => base.readRegion(index, offset, into),
      reset: () => base.reset(),
      writeRegion(index, offset, from) {
        const value = Buffer.from(from).readUIntLE(0, Math.min(from.length, 4));
        if (index === PCI_REGION.BAR0 && offset === ATQ_REGISTERS.bal) {
          ring = value;
          last = 0;
        }
        if (index === PCI_REGION.BAR0 && offset === ATQ_REGISTERS.tail) {
          // The ring stands at the start of its buffer; low halves tell buffers apart.
          const mailbox = buffers.find(({ iova }) => iova % 0x1_0000_0000 === ring);
          if (mailbox !== undefined) {
            for (let slot = last; slot !== value; slot = (slot + 1) % 32) {
              touch(mailbox, slot, meddle);
            }
          }
          last = value;
        }
        base.writeRegion(index, offset, from);
      },
    },
  };
}

function touch(mailbox: DmaBuffer, slot: number, meddle: Meddler): void {
  const at = slot * AQ_DESCRIPTOR_SIZE;
  const opcode = mailbox.data.getUint32(at + AQ_FIELD.COOKIE_HIGH, true);
  const length = mailbox.data.getUint16(at + AQ_FIELD.DATA_LENGTH, true);
  const address =
    mailbox.data.getUint32(at + AQ_FIELD.ADDRESS_HIGH, true) * 0x1_0000_0000 +
    mailbox.data.getUint32(at + AQ_FIELD.ADDRESS_LOW, true);
  const start = address - mailbox.iova;
  meddle(opcode, mailbox.bytes.subarray(start, start + length));
}

/** Makes the PF refuse a request about queues: it is for a VSI that is not the VF's. */
export function spoil(body: Uint8Array): void {
  body[0] = 0xee;
  body[1] = 0xee;
}

/** A small generator with a seed, so that a failing run can be repeated. */
export function random(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Frames that no device took, and the windows in which that may happen. */
export class Losses {
  readonly times: number[] = [];
  readonly #windows = new Map<number, SwitchWindow>();

  /** Times at which frames were lost outside of every window so far. */
  outside(world: World): number[] {
    for (const window of status(world).switches) {
      this.#windows.set(window.n, window);
    }
    const windows = [...this.#windows.values()];
    return this.times.filter(
      (time) => !windows.some(({ startedAt, ms }) => time >= startedAt && time <= startedAt + ms),
    );
  }
}
