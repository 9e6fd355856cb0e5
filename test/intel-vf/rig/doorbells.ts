import { PCI_REGION } from "@vfmig/core";
import type { DoorbellStatus } from "@vfmig/iavf/vf";
import type { MappingUser } from "@vfmig/testkit";
import { flow, type Losses, whileSaving } from "./shadow.ts";
import type { World, WorldOptions } from "./world.ts";

/** Pages of BAR0 with the queues' registers. */
export const QUEUE_PAGES: readonly number[] = [0, 0x2000, 0x3000];

/** Options of a world whose guest maps the queues' registers when it may. */
export function directDoorbells(options: WorldOptions = {}): WorldOptions {
  const { mapping = "prompt", ...more } = options;
  return whileSaving({ ...more, mapping, options: { doorbells: "direct", ...options.options } });
}

export function doorbells(world: World): DoorbellStatus {
  return world.host.device.driverStatus()["doorbells"] as DoorbellStatus;
}

/** The guest's user of its device, which must be one that maps. */
export function userOf(world: World): MappingUser {
  return world.host.user as MappingUser;
}

/** Accesses of the queues' pages that came by the process. */
export function queueMessages(world: World): number {
  const user = userOf(world);
  return QUEUE_PAGES.reduce((sum, page) => sum + user.messages(PCI_REGION.BAR0, page), 0);
}

export function mappedPages(world: World): number[] {
  return userOf(world)
    .mapped(PCI_REGION.BAR0)
    .flatMap(({ offset, size }) =>
      Array.from({ length: size / 0x1000 }, (_, n) => offset + n * 0x1000),
    );
}

/** Frames until the guest has the queues' registers mapped; fails after `most` frames. */
export async function untilMapped(world: World, most = 40_000, lost?: Losses): Promise<void> {
  for (let n = 0; n < most; n += 32) {
    if (mappedPages(world).length > 0) {
      return;
    }
    // oxlint-disable-next-line no-await-in-loop -- traffic
    await flow(world, 32, undefined, lost);
  }
  throw new Error(`not mapped after ${most} frames: ${doorbells(world).why}`);
}
