import { PCI_REGION, type SubDriverContext } from "@vfmig/core";
import { ATQ_REGISTERS, VIRTCHNL_OP } from "@vfmig/iavf";
import type { StrandedStatus, VfOptions } from "@vfmig/iavf/vf";
import type { Family } from "./family.ts";
import { meddling, pass, spoil, turn } from "./shadow.ts";
import { PAGE, RAM_IOVA, World, type WorldOptions } from "./world.ts";

/** Milliseconds that the plugin gives the PF in these worlds. */
export const LIMIT_MS = 20;

/**
 * A PF that gets each request as much later as it is told, in their order, and refuses those that it is told
 * to. It answers at once then, so that each answer has a delay of its own.
 */
export class SlowPf {
  /** Milliseconds for a request. */
  delay: (opcode: number) => number = () => 0;
  /** Whether a request is refused. */
  refuses: (opcode: number) => boolean = () => false;
  /** Requests about queues, and those for a reset, with the delay that each got. */
  readonly seen: { readonly opcode: number; readonly delayMs: number }[] = [];
  #delayMs = 0;

  plugin(family: Family): Family["plugin"] {
    const meddled = meddling(family.plugin, (opcode, body) => {
      if (this.refuses(opcode)) {
        spoil(body);
      }
      this.#delayMs = this.delay(opcode);
      if (QUEUE_REQUESTS.has(opcode)) {
        this.seen.push({ opcode, delayMs: this.#delayMs });
      }
    });
    return { ...meddled, attach: (context) => meddled.attach(this.#delayed(context)) };
  }

  /** The context on a base whose send ring is rung late. */
  #delayed(context: SubDriverContext<VfOptions>): SubDriverContext<VfOptions> {
    const { base, clock } = context;
    let last = 0;
    let life = 0;
    let begins = true;
    const late = (index: number, offset: number, from: Uint8Array): void => {
      const due = Math.max(last, clock.now() + this.#delayMs);
      if (begins || due <= clock.now()) {
        begins = false;
        base.writeRegion(index, offset, from);
        return;
      }
      last = due;
      const [born, bytes] = [life, from.slice()];
      clock.after(due - clock.now(), () => {
        if (born === life) base.writeRegion(index, offset, bytes);
      });
    };
    return {
      ...context,
      base: {
        info: base.info,
        readRegion: (index, offset, into) => base.readRegion(index, offset, into),
        reset: () => base.reset(),
        writeRegion(index, offset, from) {
          if (index === PCI_REGION.BAR0 && offset === ATQ_REGISTERS.tail) {
            late(index, offset, from);
            return;
          }
          if (index === PCI_REGION.BAR0 && offset === ATQ_REGISTERS.head) {
            // The ring is given anew, and with it a tail of 0.
            life++;
            last = 0;
            begins = true;
          }
          base.writeRegion(index, offset, from);
        },
      },
    };
  }

  async create(options: WorldOptions & { readonly family: Family }): Promise<World> {
    return await World.create({
      models: [{}],
      ...options,
      plugin: this.plugin(options.family),
      options: { pfTimeoutMs: LIMIT_MS, drainMs: 1, ...options.options },
    });
  }
}

const QUEUE_REQUESTS: ReadonlySet<number> = new Set([
  VIRTCHNL_OP.CONFIG_VSI_QUEUES,
  VIRTCHNL_OP.ENABLE_QUEUES,
  VIRTCHNL_OP.DISABLE_QUEUES,
  VIRTCHNL_OP.RESET_VF,
]);

export function stranded(world: World): StrandedStatus {
  return world.host.device.driverStatus()["stranded"] as StrandedStatus;
}

/** Time until nothing stands still; fails after `most` milliseconds. */
export async function untilNoneStranded(world: World, most = 20_000): Promise<void> {
  for (let n = 0; n < most; n++) {
    const { queues, doing } = stranded(world);
    if (queues.length === 0 && doing === "nothing") {
      return;
    }
    world.clock.advance(1);
    // oxlint-disable-next-line no-await-in-loop -- time goes on
    await turn();
  }
  throw new Error(`still stranded after ${most} ms: ${JSON.stringify(stranded(world))}`);
}

/** Pages of guest memory that the device writes while frames come in for `ms`. */
export async function writtenMeanwhile(world: World, ms: number): Promise<number[]> {
  const { model } = world.host;
  model.truth.clearWrittenPages();
  for (let n = 0; n < 8; n++) {
    world.frame();
  }
  await pass(world, ms);
  const first = Number(RAM_IOVA) / PAGE;
  const last = first + world.host.ram.length / PAGE;
  return model.truth.writtenPages().filter((page) => page >= first && page < last);
}
