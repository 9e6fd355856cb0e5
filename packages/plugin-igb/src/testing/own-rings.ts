import { facets } from "./move.ts";
import { PAGE, RAM_IOVA, type World, type WorldOptions } from "./world.ts";

/** A guest that has its VF to itself, whose user maps its pages. */
export const MAPPED: WorldOptions = {
  maps: true,
  options: { shadow: "while-saving", doorbells: "direct", handBack: true },
};

/** Whose rings the device works on. */
export function modeOf(world: World): string | undefined {
  const { modes } = world.device.driverStatus() as { modes: { tx: string }[] };
  return modes[0]?.tx;
}

/** No frame comes meanwhile. */
export const quiet = (): void => {};

/** Logs writes to all of the guest's memory; frames come meanwhile unless `onTurn` is another. */
export async function startLog(
  world: World,
  onTurn: () => void = () => world.frame(),
): Promise<void> {
  const { logging } = facets(world.device);
  const range = { iova: RAM_IOVA, size: BigInt(world.ram.length) };
  await world.settle(logging.start({ pageSize: PAGE, ranges: [range] }), onTurn);
}
